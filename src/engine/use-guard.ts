// What stands between a volume and its removal: whoever has it, by row, kernel, engine or lock.
import { EngineError } from "../core/errors.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { HolderEntry, StateStore, VolumeEntry } from "../core/state-store.ts";
import {
  type ContainerList,
  type ContainerLists,
  containersWith,
  type ListedContainer,
} from "./container-lists.ts";
import type { ServiceList } from "./service-list.ts";

/** What all engines that use our volumes said at one moment. */
export interface EngineAnswers {
  readonly list: ContainerList;
  readonly services: ServiceList;
}

/** Asked before every removal and prune. A prune also asks which volumes services name. */
export interface UseGuard {
  /**
   * Ends holds of these volumes that nobody has any more, so that only real ones are left. Called
   * without any lease. Never rejects.
   */
  settle(names: readonly string[], operation: Operation): Promise<void>;
  /**
   * Throws `containers.unreachable` when an engine that uses our volumes does not say all of it.
   * `what` begins the message: "prune".
   */
  askAll(what: string, operation: Operation): Promise<EngineAnswers>;
  /**
   * Throws `volume.in_use`, naming who has it, or `containers.unreachable` when an engine that may
   * have it does not answer. The caller has the volume's lease. `what` begins the message:
   * "remove". `isForced`: holds do not count that nobody has, and whose plugin was not told yet.
   */
  refuseInUse(
    entry: VolumeEntry,
    what: string,
    operation: Operation,
    isForced?: boolean,
  ): Promise<void>;
  /** The same for an alias that is to go: only containers count that know the volume by it. */
  refuseAliasInUse(alias: string, operation: Operation): Promise<void>;
  /**
   * Throws `volume.in_use` when a service names the volume, or `containers.unreachable`: no prune
   * removes it. Who removes it by its name may.
   */
  refuseServed(entry: VolumeEntry, operation: Operation): Promise<void>;
  /** How many containers had the volume, running or not, when the engines were asked last. */
  listedCount(volume: string): number;
  /** The locks of the volume that are held, each with who has it; some of them, if many are. */
  lockUsers(volume: VolumeName): readonly string[];
}

const servicesQuestion = "which volumes its services name";

export interface UseGuardParts {
  readonly state: StateStore;
  readonly lists: ContainerLists;
  /** Ends holds that are over. */
  readonly settle: UseGuard["settle"];
  /** Whether nobody has this hold: only its driver has not been told. */
  readonly isOver: (volume: string, holder: string) => boolean;
  readonly lockUsers: UseGuard["lockUsers"];
}

export function useGuard(parts: UseGuardParts): UseGuard {
  const { state, lists, settle, isOver, lockUsers } = parts;
  return {
    settle,
    lockUsers,
    async askAll(what, operation) {
      const asked = [lists.ask(operation), lists.services(operation)] as const;
      const [list, services] = await Promise.all(asked);
      refuseSilent(what, list);
      refuseSilent(what, services, servicesQuestion);
      return { list, services };
    },
    async refuseInUse(entry, what, operation, isForced = false) {
      const list = await lists.ask(operation);
      const containers = containersWith(list, entry.name);
      const rows = state
        .read((view) => view.holders(entry.name))
        .filter(({ holder }) => !(isForced && isOver(entry.name, holder)));
      // Looked at last: the engines have taken their time to answer.
      const holders = [...holderNames(containers, rows), ...lockUsers(entry.name)];
      if (holders.length > 0) throw heldBy(`${what} ${entry.name}`, holders);
      refuseSilent(`${what} ${entry.name}`, list);
    },
    async refuseAliasInUse(alias, operation) {
      const list = await lists.ask(operation);
      const knowing = list.containers.filter(({ aliases }) => aliases.includes(alias));
      if (knowing.length > 0) throw heldBy(`remove ${alias}`, knowing.map(named));
      refuseSilent(`remove ${alias}`, list);
    },
    async refuseServed(entry, operation) {
      const services = await lists.services(operation);
      const holders = services.naming(entry.name).map((name) => `service ${name}`);
      if (holders.length > 0) throw heldBy(`remove ${entry.name}`, holders);
      refuseSilent(`remove ${entry.name}`, services, servicesQuestion);
    },
    listedCount: (volume) => lists.latestCountOf(volume),
  };
}

function refuseSilent(
  what: string,
  { unreachable }: Pick<ContainerList, "unreachable">,
  question = "which ones its containers have",
): void {
  const [silent] = unreachable;
  if (silent === undefined) return;
  throw new EngineError(
    "containers.unreachable",
    `${what}: ${silent.key} uses Holdfast's volumes and cannot be asked ${question}: ` +
      silent.reason,
    { details: { engine: silent.key } },
  );
}

/** Containers by their names; without any, the holders' own ids. */
function holderNames(
  containers: readonly ListedContainer[],
  rows: readonly HolderEntry[],
): readonly string[] {
  const unnamed = rows.filter(({ kind }) => kind === "client" || containers.length === 0);
  return [...containers.map(named), ...unnamed.map(({ holder }) => holder)];
}

function heldBy(what: string, holders: readonly string[]): EngineError {
  const message = `${what}: volume is in use - [${holders.join(", ")}]`;
  return new EngineError("volume.in_use", message, { details: { holders } });
}

/** As a person calls it: `db2 of project shop (docker, stopped)`. */
function named({ name, project, isRunning, engine }: ListedContainer): string {
  const of = project === null ? "" : ` of project ${project}`;
  return `${name}${of} (${engine.kind}, ${isRunning ? "running" : "stopped"})`;
}
