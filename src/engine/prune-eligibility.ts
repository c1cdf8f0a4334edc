// Which volumes a prune plan is about, and in words why each of them may go, or stays.
import type { StateView, VolumeEntry } from "../core/state-store.ts";
import type { ContainerList, ListedContainer } from "./container-lists.ts";
import type { ServiceList } from "./service-list.ts";
import { ANONYMOUS_LABEL, selects, type VolumeFilter } from "./volume-filter.ts";

/** The label that Compose gives to the volumes of a project. */
const PROJECT_LABEL = "com.docker.compose.project";
/** The only driver whose anonymous volumes go without being asked for: Docker's rule. */
const ANONYMOUS_DRIVER = "local";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Which volumes a plan is to be about; all conditions must hold. */
export interface PruneQuestion {
  readonly filter: VolumeFilter;
  /**
   * False: anonymous volumes of `local` without options, which is Docker's rule. True: volumes of
   * all drivers, with options and without.
   */
  readonly isAll: boolean;
  /** Nobody has had it for so many milliseconds; where nobody ever had it, it is so old. */
  readonly unusedForMs?: number;
  /** It takes more than so many bytes; what cannot be measured is kept. */
  readonly largerBytes?: number;
  /** It belongs to one of these Compose projects, by its label. */
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
  { view, containers, services, nowMs }: Surroundings,
): Verdict {
  const { filter, isAll, unusedForMs, projects } = question;
  if (entry.phase !== "ready") return other;
  if (!isAll && !goesUnasked(entry)) return other;
  if (projects !== undefined && !projects.has(projectOf(entry) ?? "")) return other;
  const unusedMs = nowMs - unusedSinceMs(entry);
  if (unusedForMs !== undefined && unusedMs < unusedForMs) return other;
  const having = containers.get(entry.name) ?? [];
  const isHeld = () => having.length > 0 || view.holders(entry.name).length > 0;
  if (!selects(filter, entry, isHeld)) return other;
  if (having.some(({ isRunning }) => isRunning) || view.holders(entry.name).length > 0) {
    return other;
  }
  const reasons = whyKept(entry, having, services.naming(entry.name));
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

/** The Compose project that a volume belongs to by its label. */
export function projectOf({ labels }: VolumeEntry): string | null {
  if (labels === null || !Object.hasOwn(labels, PROJECT_LABEL)) return null;
  return labels[PROJECT_LABEL] ?? null;
}

function goesUnasked({ driver, options, labels }: VolumeEntry): boolean {
  if (driver !== ANONYMOUS_DRIVER || Object.keys(options ?? {}).length > 0) return false;
  return labels !== null && Object.hasOwn(labels, ANONYMOUS_LABEL);
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
  const isAnonymous = entry.labels !== null && Object.hasOwn(entry.labels, ANONYMOUS_LABEL);
  const isUsed = entry.lastUse !== null || entry.usedAtMs !== null;
  const use = isUsed ? `unused for ${age}` : `never used, made ${age} ago`;
  return isAnonymous ? `anonymous, ${use}` : use;
}

/** The largest unit of which there are two at least: `45 days`, `47 hours`, `119 minutes`. */
function inWords(durationMs: number): string {
  if (durationMs >= 2 * DAY_MS) return `${Math.floor(durationMs / DAY_MS)} days`;
  if (durationMs >= 2 * HOUR_MS) return `${Math.floor(durationMs / HOUR_MS)} hours`;
  if (durationMs >= 2 * MINUTE_MS) return `${Math.floor(durationMs / MINUTE_MS)} minutes`;
  return "moments";
}
