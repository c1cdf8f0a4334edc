// Who has a volume, for people: clients, containers that run, and containers that stand still.
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { StateView } from "../../core/state-store.ts";
import { type ContainerList, containersWith } from "../container-lists.ts";
import type { Violation } from "../sharing/sharing-judge.ts";
import type { Hold } from "./hold-table.ts";

/**
 * "client": mounted by Holdfast's own API. "running" and "stopped": a container. "starting": a
 * Mount whose container has not appeared yet. "stale": a hold that cannot be ended, and why.
 */
export type HolderState = "client" | "running" | "stopped" | "starting" | "stale";

export interface VolumeHolder {
  /** A container's id in full, or the holder's own. */
  readonly id: string;
  readonly state: HolderState;
  /** The container's name; null where no engine has told. */
  readonly name: string | null;
  /** Its Compose project. */
  readonly project: string | null;
  /** The key of its engine. */
  readonly engine: string | null;
  /** null: not known. */
  readonly access: "ro" | "rw" | null;
  /** Milliseconds since the epoch; null: not known. */
  readonly sinceMs: number | null;
  /** Why it is stale, which option it breaks, or that it must restart to see its data. */
  readonly reason: string | null;
}

export interface VolumeHoldersQuestion {
  readonly volume: VolumeName;
  readonly view: StateView;
  readonly holds: readonly Hold[];
  /** As old as it is. */
  readonly list: ContainerList;
  readonly violations: readonly Violation[];
  /** Containers that have a dead mount. */
  readonly mustRestart: ReadonlySet<string>;
}

const unknown = { name: null, project: null, engine: null, access: null, reason: null } as const;

/** Containers first, as the engines and the kernel show them; each once. */
export function volumeHolders(question: VolumeHoldersQuestion): readonly VolumeHolder[] {
  const running = runningContainers(question);
  const listed = containersWith(question.list, question.volume);
  const still = listed.filter(({ id }) => !running.has(id));
  const clients = question.view
    .holders(question.volume)
    .filter(({ kind }) => kind === "client")
    .map(({ holder, sinceMs }): VolumeHolder => {
      return { ...unknown, id: holder satisfies HolderId, state: "client", sinceMs };
    });
  return [
    ...running.values(),
    ...still.map((container): VolumeHolder => {
      const { id, name, project, isRunning, engine, volumes } = container;
      const own = volumes.filter(({ volume }) => volume === question.volume);
      const access = own.every(({ isReadOnly }) => isReadOnly) ? "ro" : "rw";
      const state = isRunning ? "running" : "stopped";
      return { ...unknown, id, state, name, project, engine: engine.key, access, sinceMs: null };
    }),
    ...question.holds.filter(({ uses }) => uses.length === 0).map(unusedHold),
    ...clients,
  ];
}

function runningContainers(question: VolumeHoldersQuestion): ReadonlyMap<string, VolumeHolder> {
  const found = new Map<string, VolumeHolder>();
  for (const hold of question.holds) {
    for (const use of hold.uses) {
      const id = use.container ?? `process ${use.pid}`;
      const isWritable = !use.isReadOnly || found.get(id)?.access === "rw";
      const listed = question.list.containers.find((container) => container.id === id);
      const broken = question.violations.find(({ container }) => container === id);
      found.set(id, {
        ...unknown,
        id,
        state: "running",
        name: listed?.name ?? null,
        project: listed?.project ?? null,
        engine: listed?.engine.key ?? null,
        access: isWritable ? "rw" : "ro",
        sinceMs: found.get(id)?.sinceMs ?? hold.sinceMs,
        reason: reasonOf(broken, question.mustRestart.has(id)),
      });
    }
  }
  return found;
}

function reasonOf(broken: Violation | undefined, mustRestart: boolean): string | null {
  const breach = broken === undefined ? [] : [`breaks ${broken.rule}`];
  const words = [...breach, ...(mustRestart ? ["must restart"] : [])];
  return words.length === 0 ? null : words.join(", ");
}

function unusedHold({ holder, sinceMs, stale }: Hold): VolumeHolder {
  const state = stale === null ? "starting" : "stale";
  return { ...unknown, id: holder, state, sinceMs, reason: stale };
}
