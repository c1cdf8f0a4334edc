// Judges sharing modes by what the kernel shows right after a start, and acts on what breaks them.
//
// A Mount carries neither container nor read-only flag. `readonly` can only be judged afterwards;
// the other modes, and `database=exclusive`, are judged again for what an admission cannot tell.
import type { ContainerEngine } from "../../core/container-engine.ts";
import { toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import type { ContainerLists, ListedContainer } from "../container-lists.ts";
import { engineOptions } from "../engine-options.ts";
import type { EventLog } from "../event-log.ts";
import { historyEntry } from "../history-entry.ts";
import type { HoldSettler } from "../holds/hold-settler.ts";
import { type Breach, containerUses, violations } from "./sharing.ts";

/** What happens to a container that breaks a sharing mode: it is stopped, or only reported. */
export type ViolationPolicy = "stop" | "report";

/** A container that has a volume against an option of it. */
export interface Violation {
  readonly container: string;
  /** The option: `sharing=none`, `database=exclusive`. */
  readonly rule: string;
}

export interface SharingJudgeParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "nowMs" | "programOf">;
  /** The daemon's own, anew for each violation. */
  readonly operation: () => Operation;
  readonly events: EventLog;
  readonly lists: ContainerLists;
  readonly policy: ViolationPolicy;
  /** A function, because the settler knows the judge too. */
  readonly holds: () => Pick<HoldSettler, "holdsOf" | "look">;
}

export class SharingJudge {
  readonly #parts: SharingJudgeParts;
  /** By volume; each container once, until it is gone. */
  readonly #known = new Map<VolumeName, ReadonlyMap<string, Violation>>();
  readonly #acting = new Set<Promise<void>>();

  constructor(parts: SharingJudgeParts) {
    this.#parts = parts;
  }

  /** Containers that break the volume's mode now. */
  violationsOf(volume: VolumeName): readonly Violation[] {
    return [...(this.#known.get(volume)?.values() ?? [])];
  }

  /** Judges volumes by the last look at their holds, and acts on what is new. Never throws. */
  judge(volumes: ReadonlySet<VolumeName>, operation: Operation): void {
    for (const volume of this.#known.keys()) if (!volumes.has(volume)) this.#known.delete(volume);
    for (const volume of volumes) {
      const entry = this.#parts.state.read((view) => view.volume(volume));
      if (entry !== undefined) this.#judgeOne(entry, operation);
    }
  }

  /** Resolves when what was begun has ended: for the daemon's stop, and tests. */
  async settled(): Promise<void> {
    await Promise.all(this.#acting);
  }

  #judgeOne(entry: VolumeEntry, operation: Operation): void {
    const options = engineOptions(entry.options);
    if (options.sharing === "all" && options.database !== "exclusive") {
      this.#known.delete(entry.name);
      return;
    }
    const holds = this.#parts.holds();
    const judged = () => violations(options, containerUses(holds.holdsOf(entry.name)));
    // A look that takes its time may see one container before its end and the next one after.
    if (judged().length > 0) holds.look(entry.name);
    const broken = judged();
    const before = this.#known.get(entry.name);
    if (broken.length === 0) {
      this.#known.delete(entry.name);
      return;
    }
    const now = broken.map(({ container, rule }): Violation => ({ container, rule }));
    this.#known.set(entry.name, new Map(now.map((each) => [each.container, each])));
    for (const use of broken) {
      if (before?.has(use.container) === true) continue;
      const acting = this.#answer(entry, use, operation);
      this.#acting.add(acting);
      void acting.finally(() => this.#acting.delete(acting));
    }
  }

  /** Whoever wonders why a container has ended finds it in the volume's history. */
  async #answer(entry: VolumeEntry, use: Breach, operation: Operation): Promise<void> {
    const { state, host, lists } = this.#parts;
    const answer = await this.#act(entry, use, operation);
    const name = lists.shownName(use.container);
    const subject = `${name} (${accessOf(use)}) breaks ${use.rule}: ${answer}`;
    const own = this.#parts.operation();
    try {
      const row = historyEntry(host, { action: "violation", entry, subject }, own);
      await state.write((transaction) => transaction.addHistory(row));
    } catch (error) {
      const fields = { volume: entry.name, error: toEngineError(error).message };
      own.log.warn("a violation is not in the history", fields);
    }
  }

  /** Resolves with what became of the container, in a word or two. */
  async #act(entry: VolumeEntry, use: Breach, operation: Operation): Promise<string> {
    const { events, policy } = this.#parts;
    const { container, rule } = use;
    const access = accessOf(use);
    const [option = "", word = ""] = rule.split("=");
    events.volume("violation", entry.name, {
      ...{ driver: entry.driver, container, [option]: word, access, policy },
    });
    const fields = { volume: entry.name, [option]: word, container, access };
    operation.log.warn("a container has a volume against its options", fields);
    if (policy === "report") return "reported";
    try {
      const engine = await this.#engineOf(container, operation);
      if (engine === undefined) {
        operation.log.warn("no engine lists the container: it cannot be stopped", fields);
        return "not stopped";
      }
      await engine.stop(container, operation);
      operation.log.info("the container was stopped", fields);
      return "stopped";
    } catch (error) {
      const { message } = toEngineError(error);
      operation.log.warn("the container could not be stopped", { ...fields, error: message });
      return "not stopped";
    }
  }

  /** A container that is just being started may not be in the first list. */
  async #engineOf(container: string, operation: Operation): Promise<ContainerEngine | undefined> {
    for (let left = 3; left > 0; left--) {
      const { containers } = await this.#parts.lists.ask(operation);
      const found = containers.find(({ id }: ListedContainer) => id === container);
      if (found !== undefined) return found.engine;
    }
    return undefined;
  }
}

function accessOf({ isReadOnly }: Breach): "ro" | "rw" {
  return isReadOnly ? "ro" : "rw";
}
