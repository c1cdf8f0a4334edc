// Which volumes a prune plan is about, and in words why each of them may go, or stays.
import type { VolumeName } from "../../core/names.ts";
import type { StateView, VolumeEntry } from "../../core/state-store.ts";
import type { ContainerList, ListedContainer } from "../container-lists.ts";
import type { ServiceList } from "../service-list.ts";
import {
  hasAnonymousLabel,
  isAnonymous,
  isForDockerPrune,
  selects,
  type VolumeFilter,
} from "../volume-filter.ts";

/** The label that Compose gives to the volumes of a project. */
const PROJECT_LABEL = "com.docker.compose.project";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Which volumes a plan is to be about; all conditions must hold. */
export interface PruneQuestion {
  readonly filter: VolumeFilter;
  /**
   * False: anonymous volumes of `local` without options, which is Docker's rule. True: volumes of
   * all built-in drivers, with options and without.
   */
  readonly isAll: boolean;
  /** Nobody has had it for so many milliseconds; where nobody ever had it, it is so old. */
  readonly unusedForMs?: number;
  /** It takes more than so many bytes; what cannot be measured is kept. */
  readonly largerBytes?: number;
  /** It belongs to one of these Compose projects: see `projectOf`. */
  readonly projects?: ReadonlySet<string>;
  /** Sizes are wanted, also where no condition asks for them. */
  readonly measure: boolean;
}

/** What is around the volumes at one moment. */
export interface Surroundings {
  readonly view: StateView;
  /** By the names of their volumes: see `containersByVolume`. */
  readonly containers: ReadonlyMap<string, readonly ListedContainer[]>;
  readonly services: ServiceList;
  readonly nowMs: number;
  /** Whether a plugin has it: what the plugin lists may be in use at other machines. */
  readonly isOfPlugin: (entry: VolumeEntry) => boolean;
  /** See `UseGuard`. */
  readonly lockUsers: (volume: VolumeName) => readonly string[];
}

/** "other": the question is not about it, or somebody has it now. */
export type Verdict =
  | { readonly kind: "other" }
  | { readonly kind: "kept"; readonly why: string }
  | { readonly kind: "goes"; readonly why: string };

const other: Verdict = { kind: "other" };

/** Says of one volume what a prune makes of it, but for its size. */
export function judge(
  entry: VolumeEntry,
  question: PruneQuestion,
  { view, containers, services, nowMs, isOfPlugin, lockUsers }: Surroundings,
): Verdict {
  const { filter, isAll, unusedForMs, projects } = question;
  if (entry.phase !== "ready") return other;
  if (!isAll && !(isForDockerPrune(entry) && hasAnonymousLabel(entry))) return other;
  if (projects !== undefined && projectOf(entry, projects) === null) return other;
  const unusedMs = nowMs - unusedSinceMs(entry);
  if (unusedForMs !== undefined && unusedMs < unusedForMs) return other;
  const having = containers.get(entry.name) ?? [];
  const isHeld = () => having.length > 0 || view.holders(entry.name).length > 0;
  if (!selects(filter, entry, isHeld)) return other;
  if (having.some(({ isRunning }) => isRunning) || view.holders(entry.name).length > 0) {
    return other;
  }
  if (isOfPlugin(entry)) {
    const isNamed = filter.drivers?.has(entry.driver) === true;
    return isNamed ? { kind: "kept", why: "a plugin has it: remove it by its name" } : other;
  }
  const naming = services.naming(entry.name);
  const reasons = [...whyKept(entry, having, naming), ...lockUsers(entry.name)];
  if (reasons.length > 0) return { kind: "kept", why: reasons.join(", ") };
  return { kind: "goes", why: whyUnused(entry, unusedMs) };
}

/**
 * Says of a volume that `goes` whether its size fits. undefined: it was not measured in time; null:
 * it cannot be measured.
 */
export function judgeSize(
  sizeBytes: number | null | undefined,
  why: string,
  { largerBytes }: PruneQuestion,
): Verdict {
  if (largerBytes === undefined) return { kind: "goes", why };
  if (sizeBytes === undefined) return { kind: "kept", why: "size not measured in time" };
  if (sizeBytes === null) return { kind: "kept", why: "size cannot be measured" };
  return sizeBytes > largerBytes ? { kind: "goes", why } : other;
}

/** Each container stands under each of its volumes. */
export function containersByVolume({ containers }: ContainerList): Surroundings["containers"] {
  const found = new Map<string, ListedContainer[]>();
  for (const container of containers) {
    for (const volume of new Set(container.volumes.map((one) => one.volume))) {
      const listed = found.get(volume);
      if (listed === undefined) found.set(volume, [container]);
      else listed.push(container);
    }
  }
  return found;
}

/**
 * Which of these Compose projects a volume belongs to; without them, to which it says it does. By
 * its label, else by its name, `PROJECT_VOLUME`: dockerd keeps the labels of a volume to itself.
 */
export function projectOf(
  { name, labels }: Pick<VolumeEntry, "name" | "labels">,
  projects?: ReadonlySet<string>,
): string | null {
  const label = labels !== null && Object.hasOwn(labels, PROJECT_LABEL) && labels[PROJECT_LABEL];
  if (typeof label === "string") return projects?.has(label) === false ? null : label;
  return [...(projects ?? [])].find((project) => name.startsWith(`${project}_`)) ?? null;
}

/** Of one whose last use has not been noted its first one, of one that had none its creation. */
function unusedSinceMs({ lastUse, usedAtMs, createdAtMs }: VolumeEntry): number {
  return lastUse?.atMs ?? usedAtMs ?? createdAtMs;
}

function whyKept(
  { protection }: VolumeEntry,
  containers: readonly ListedContainer[],
  services: readonly string[],
): readonly string[] {
  return [
    ...(protection === null ? [] : [`protected: ${protection.reason}`]),
    ...containers.map(({ name, project }) =>
      project === null
        ? `container ${name} is only stopped`
        : `container ${name} of project ${project} is only stopped`,
    ),
    ...services.map((name) => `service ${name} names it`),
  ];
}

function whyUnused(entry: VolumeEntry, unusedMs: number): string {
  const age = inWords(unusedMs);
  const isUsed = entry.lastUse !== null || entry.usedAtMs !== null;
  const use = isUsed ? `unused for ${age}` : `never used, made ${age} ago`;
  return isAnonymous(entry) ? `anonymous, ${use}` : use;
}

/** The largest unit of which there are two at least: `45 days`, `47 hours`, `119 minutes`. */
function inWords(durationMs: number): string {
  if (durationMs >= 2 * DAY_MS) return `${Math.floor(durationMs / DAY_MS)} days`;
  if (durationMs >= 2 * HOUR_MS) return `${Math.floor(durationMs / HOUR_MS)} hours`;
  if (durationMs >= 2 * MINUTE_MS) return `${Math.floor(durationMs / MINUTE_MS)} minutes`;
  return "moments";
}
