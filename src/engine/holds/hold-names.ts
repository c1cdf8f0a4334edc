// What people call the containers that have holds: engines forget a container when it is removed.
import type { Operation } from "../../core/operation.ts";
import type { ContainerLists } from "../container-lists.ts";
import { pause } from "../pause.ts";
import type { Hold } from "./hold-table.ts";
import type { Leaver } from "./holders.ts";

/** How long the end of a hold waits for the names of containers, in milliseconds. */
const NAMES_MS_MAX = 200;

export class HoldNames {
  readonly #lists: ContainerLists;
  /** The containers that the last look has seen, by id: their names, as far as they are known. */
  #names = new Map<string, string | undefined>();

  constructor(lists: ContainerLists) {
    this.#lists = lists;
  }

  /** A container that is removed while it runs is listed no more when its holds end. */
  greet(holds: readonly Hold[], operation: Operation): void {
    const lists = this.#lists;
    const ids = new Set(holds.flatMap((hold) => containerOf(hold) ?? []));
    const before = this.#names;
    this.#names = new Map([...ids].map((id) => [id, lists.nameOf(id) ?? before.get(id)]));
    const isNew = [...this.#names].some(([id, name]) => name === undefined && !before.has(id));
    if (!isNew || !lists.areSwift) return;
    void lists.ask(operation).then(() => {
      for (const [id, name] of this.#names) this.#names.set(id, lists.nameOf(id) ?? name);
    });
  }

  /** Whoever had them is written down by the name: most engines list a container that ends. */
  async learn(holds: readonly Hold[], operation: Operation): Promise<void> {
    const lists = this.#lists;
    const isUnnamed = (hold: Hold): boolean => {
      const id = containerOf(hold);
      return id !== undefined && (lists.nameOf(id) ?? this.#names.get(id)) === undefined;
    };
    if (!holds.some(isUnnamed) || !lists.areSwift) return;
    await Promise.race([lists.ask(operation), pause(NAMES_MS_MAX)]);
  }

  /** What people call who had it last: by the engines' answers, else by the kernel. */
  leaver(hold: Hold): Leaver {
    const id = containerOf(hold);
    if (id === undefined) return { holder: hold.holder, name: undefined };
    return { holder: hold.holder, name: this.#lists.nameOf(id) ?? this.#names.get(id) ?? id };
  }
}

/** A container that had it last; undefined: none was ever seen. */
function containerOf({ lastUses }: Hold): string | undefined {
  return lastUses.find(({ container }) => container !== null)?.container ?? undefined;
}
