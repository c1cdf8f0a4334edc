// Rows of removed volumes, and engines whose trash is on and whose timers a test fires.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseDriverName, parseVolumeName, type TrashId } from "../../src/core/names.ts";
import type { HistoryEntry, RetiredEntry, VolumeEntry } from "../../src/core/state-store.ts";
import { trashDefaults } from "../../src/engine/trash/policy.ts";
import { parseRetired } from "../../src/engine/trash/retired-description.ts";
import { eventually } from "./child.ts";
import { create, EngineBench, type EngineBenchParts, named } from "./engine-bench.ts";
import { manualTimers } from "./manual-timers.ts";
import { retiredRow } from "./recovery-bench.ts";

/** How long what happens in the background may take, in milliseconds. */
const BACKGROUND_MS_MAX = 5_000;

/** A row as the state may have it. */
export function volumeRow(name: string, more: Partial<VolumeEntry> = {}): VolumeEntry {
  return {
    ...{ name: parseVolumeName(name), driver: parseDriverName("local"), scope: "local" },
    ...{ labels: null, options: null, createdAtMs: 1, origin: "made", phase: "ready" },
    ...{ mountpoint: `/volumes/${name}/_data`, identity: "1 2", usedAtMs: null },
    ...{ lastUse: null, note: null, protection: null },
    ...more,
  };
}

/** An engine that keeps what is removed; its clock and the keeper's timers move with `pass`. */
export class TrashBench implements AsyncDisposable {
  readonly engine: EngineBench;
  readonly #timers = manualTimers();

  constructor(parts: EngineBenchParts = {}) {
    this.engine = new EngineBench({
      ...parts,
      host: (host) => ({ ...(parts.host?.(host) ?? host), monotonicMs: this.#timers.monotonicMs }),
      trash: {
        ...{ defaults: trashDefaults, budget: { kind: "none" } },
        startTimer: this.#timers.startTimer,
        ...parts.trash,
      },
    });
  }

  /** Moves both clocks, and fires the keeper's timers that are due. */
  pass(ms: number): void {
    this.engine.nowMs += ms;
    this.#timers.pass(ms);
  }

  /** Creates a volume with a file that holds its name. */
  async filled(name: string, more: Parameters<typeof named>[1] = {}): Promise<VolumeEntry> {
    const entry = await create(this.engine, named(name, { labels: { of: name }, ...more }));
    writeFileSync(join(entry.mountpoint, "file"), name);
    return entry;
  }

  /** Creates it and removes it again; what is in the trash now. */
  async removed(name: string, more: Parameters<typeof named>[1] = {}): Promise<RetiredEntry> {
    await this.filled(name, more);
    await this.remove(name);
    return this.engine.engine.trash.find(name);
  }

  remove(name: string, how?: { readonly purge: boolean }): Promise<void> {
    return this.engine.engine.volumes.remove(name, this.engine.operation(), how);
  }

  restore(id: TrashId, as?: string): Promise<VolumeEntry> {
    return this.engine.engine.trash.restore(id, as, this.engine.operation());
  }

  purge(id: TrashId): Promise<void> {
    return this.engine.engine.trash.purge(id, this.engine.operation());
  }

  /** What the volume's file says; null: it is not there. */
  file(name: string): string | null {
    const path = join(this.engine.volumePath(name), "_data", "file");
    return existsSync(path) ? readFileSync(path, "utf8") : null;
  }

  /** Its row in the trash. */
  row(id: TrashId): RetiredEntry | undefined {
    return this.engine.state.read((view) => view.retiredEntry(id));
  }

  /** The names of what can be restored, in the order of removal. */
  kept(): readonly string[] {
    const list = this.engine.engine.trash.list().toReversed();
    return list.filter(({ phase }) => phase === "kept").map(({ volume }) => volume.name);
  }

  /** Where its data lies. */
  place(id: TrashId): string {
    return join(this.engine.root, "trash", id);
  }

  /** What lies beside its data. */
  async described(id: TrashId) {
    for await (const record of this.engine.local().trash?.list(this.engine.operation()) ?? []) {
      if (record.id === id && record.description !== null) return parseRetired(record.description);
    }
    return undefined;
  }

  /** Waits for the background, until `look` gives something else than undefined or false. */
  async until<T>(what: string, look: () => T | undefined | false): Promise<T> {
    return await eventually(() => look() || undefined, {
      timeoutMs: BACKGROUND_MS_MAX,
      otherwise: () => `${what}: ${JSON.stringify(this.engine.log)}`,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }
}

export async function trashBench(parts: EngineBenchParts = {}): Promise<TrashBench> {
  const bench = new TrashBench(parts);
  await bench.engine.start();
  return bench;
}

/** The newest change of the history. */
export function newest({ engine }: TrashBench): Partial<HistoryEntry> | undefined {
  return engine.state.history({ order: "newest first", countMax: 1 }).entries[0];
}

/** Its row says that it is removed, the start could not move it, and time has gone on. */
export async function halfRemoved(bench: TrashBench, name: string): Promise<RetiredEntry> {
  const entry = await bench.filled(name);
  const presence = await bench.engine.local().get(entry.name, bench.engine.operation());
  if (presence.state !== "found") throw new Error("it is there");
  const { identity } = presence.record;
  const retired = retiredRow({ ...entry, identity }, { phase: "kept", purgeAtMs: null });
  await bench.engine.state.write((transaction) => {
    transaction.removeVolume(entry.name);
    transaction.putRetired(retired);
  });
  await bench.engine.restart();
  const { failed } = bench.engine.engine.recovery;
  if (failed.join() !== name) throw new Error(`the start should have failed over ${name}`);
  return retired;
}
