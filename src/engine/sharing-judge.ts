// Judges sharing modes by what the kernel shows right after a start, and acts on what breaks them.
//
// A Mount carries neither container nor read-only flag, so `onewriter` and `readonly` can only be
// judged afterwards; `none` is judged again for what a copy-up's place let through.
import type { ContainerEngine } from "../core/container-engine.ts";
import { toEngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore, VolumeEntry } from "../core/state-store.ts";
import type { ContainerLists, ListedContainer } from "./container-lists.ts";
import { engineOptions, type SharingMode } from "./engine-options.ts";
import type { EventLog } from "./event-log.ts";
import type { Hold } from "./hold-table.ts";
import { type ContainerUse, containerUses, violations } from "./sharing.ts";

/** What happens to a container that breaks a sharing mode: it is stopped, or only reported. */
export type ViolationPolicy = "stop" | "report";

/** A container that has a volume against its sharing mode. */
export interface Violation {
  readonly container: string;
  readonly mode: SharingMode;
}

export interface SharingJudgeParts {
  readonly state: StateStore;
  readonly events: EventLog;
  readonly lists: ContainerLists;
  readonly policy: ViolationPolicy;
  readonly holdsOf: (volume: string) => readonly Hold[];
  /** Looks at the kernel now, at the holds of one volume, without letting others work. */
  readonly look: (volume: string) => void;
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
    const { sharing } = engineOptions(entry.options);
    if (sharing === "all") return;
    const judged = () => violations(sharing, containerUses(this.#parts.holdsOf(entry.name)));
    // A look that takes its time may see one container before its end and the next one after.
    if (judged().length > 0) this.#parts.look(entry.name);
    const broken = judged();
    const before = this.#known.get(entry.name);
    if (broken.length === 0) {
      this.#known.delete(entry.name);
      return;
    }
    const now = broken.map(({ container }): Violation => ({ container, mode: sharing }));
    this.#known.set(entry.name, new Map(now.map((each) => [each.container, each])));
    for (const use of broken) {
      if (before?.has(use.container) === true) continue;
      const acting = this.#act(entry, use, sharing, operation);
      this.#acting.add(acting);
      void acting.finally(() => this.#acting.delete(acting));
    }
  }

  async #act(
    entry: VolumeEntry,
    { container, isReadOnly }: ContainerUse,
    mode: SharingMode,
    operation: Operation,
  ): Promise<void> {
    const { events, policy } = this.#parts;
    const access = isReadOnly ? "ro" : "rw";
    events.volume("violation", entry.name, {
      ...{ driver: entry.driver, container, sharing: mode, access, policy },
    });
    const fields = { volume: entry.name, sharing: mode, container, access };
    operation.log.warn("a container breaks a volume's sharing mode", fields);
    if (policy === "report") return;
    try {
      const engine = await this.#engineOf(container, operation);
      if (engine === undefined) {
        operation.log.warn("no engine lists the container: it cannot be stopped", fields);
        return;
      }
      await engine.stop(container, operation);
      operation.log.info("the container was stopped", fields);
    } catch (error) {
      const { message } = toEngineError(error);
      operation.log.warn("the container could not be stopped", { ...fields, error: message });
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
