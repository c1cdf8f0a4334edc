// What the clients were told, and what may therefore be found after a crash.
//
// Every client owns its names, so what it was told about them has one order. At most one request of
// a client is unanswered when the daemon dies; that one may have happened or not, but not by half.
import type { Volume } from "./client.ts";

/** What a create asked for. */
export interface Wanted {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
}

/** A volume as its client knows it. */
export interface Known {
  readonly volume: Volume;
  readonly holders: ReadonlySet<string>;
  /** Contents of the files in `_data`, by name. */
  readonly files: ReadonlyMap<string, string>;
}

/** A request that was sent and not answered yet. */
export type Unanswered =
  | { readonly kind: "none" }
  | { readonly kind: "create"; readonly wanted: Wanted; readonly sentAtMs: number }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "prune"; readonly names: readonly string[] }
  | { readonly kind: "mount" | "unmount"; readonly name: string; readonly holder: string };

export class ClientModel {
  readonly owner: string;
  readonly names: readonly string[];
  readonly known = new Map<string, Known>();
  unanswered: Unanswered = { kind: "none" };
  /** Changes that were acknowledged. */
  acknowledgedCount = 0;

  constructor(owner: string, nameCount: number) {
    this.owner = owner;
    this.names = Array.from({ length: nameCount }, (_, index) => `${owner}-volume-${index}`);
  }

  /** As it is now; what the client goes on to learn does not change it. */
  copy(): ClientModel {
    const copy = new ClientModel(this.owner, this.names.length);
    for (const [name, known] of this.known) copy.known.set(name, known);
    copy.unanswered = this.unanswered;
    copy.acknowledgedCount = this.acknowledgedCount;
    return copy;
  }

  created(volume: Volume): void {
    this.known.set(volume.Name, { volume, holders: new Set(), files: new Map() });
    this.#answered();
  }

  removed(names: readonly string[]): void {
    for (const name of names) this.known.delete(name);
    this.#answered();
  }

  mounted(name: string, holder: string): void {
    this.#change(name, (known) => ({ ...known, holders: new Set([...known.holders, holder]) }));
    this.#answered();
  }

  unmounted(name: string, holder: string): void {
    this.#change(name, (known) => {
      const holders = new Set(known.holders);
      holders.delete(holder);
      return { ...known, holders, files: holders.size === 0 ? kept(known) : known.files };
    });
    this.#answered();
  }

  wrote(name: string, file: string, content: string): void {
    this.#change(name, (known) => ({
      ...known,
      files: new Map([...known.files, [file, content]]),
    }));
  }

  /** After a crash: what was found is what is known from now on. */
  settle(found: ReadonlyMap<string, Known>): void {
    for (const name of this.names) {
      const known = found.get(name);
      if (known === undefined) this.known.delete(name);
      else this.known.set(name, known);
    }
    this.unanswered = { kind: "none" };
  }

  #change(name: string, change: (known: Known) => Known): void {
    const known = this.known.get(name);
    if (known === undefined) throw new Error(`the model does not know ${name}`);
    this.known.set(name, change(known));
  }

  #answered(): void {
    this.unanswered = { kind: "none" };
    this.acknowledgedCount += 1;
  }
}

/** What the last unmount leaves: a tmpfs forgets. */
function kept(known: Known): ReadonlyMap<string, string> {
  return hasMount(known.volume) ? new Map() : known.files;
}

/** Whether the volume is something that is mounted rather than a directory. */
export function hasMount(volume: Pick<Volume, "Options">): boolean {
  return volume.Options?.["device"] !== undefined;
}
