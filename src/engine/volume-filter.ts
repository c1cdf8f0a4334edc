// Which volumes a list or a prune is about.
import type { VolumeEntry } from "../core/state-store.ts";

/** The label that marks volumes whose name Holdfast (or Docker) chose. */
export const ANONYMOUS_LABEL = "com.docker.volume.anonymous";

/** What Docker makes up for a volume without a name. */
const MADE_UP_NAME = /^[0-9a-f]{64}$/;

/** The only driver whose volumes Docker's prune removes. */
const PRUNED_DRIVER = "local";

/** Docker's rule of what a prune is about: volumes of `local` that were created without options. */
export function isForDockerPrune({ driver, options }: VolumeEntry): boolean {
  return driver === PRUNED_DRIVER && Object.keys(options ?? {}).length === 0;
}

/** Docker's word for a volume that goes without being asked for. */
export function hasAnonymousLabel({ labels }: Pick<VolumeEntry, "labels">): boolean {
  return labels !== null && Object.hasOwn(labels, ANONYMOUS_LABEL);
}

/**
 * Whether nobody chose the volume's name: by its label, or by the name itself. Container engines
 * give the volume driver socket no labels.
 */
export function isAnonymous({ name, labels }: Pick<VolumeEntry, "name" | "labels">): boolean {
  return hasAnonymousLabel({ labels }) || MADE_UP_NAME.test(name);
}

/**
 * Docker's filters after parsing. Different keys must all hold; a missing key selects everything.
 */
export interface VolumeFilter {
  /** Any of these must match the name. */
  readonly names?: readonly ((name: string) => boolean)[];
  /** Any of these. */
  readonly drivers?: ReadonlySet<string>;
  /** All of these: `key` or `key=value`. */
  readonly labels?: readonly LabelCondition[];
  /** Excluded when all of these hold (Docker's `label!`). */
  readonly withoutLabels?: readonly LabelCondition[];
  /** true: without holders; false: with holders. */
  readonly dangling?: boolean;
}

export interface LabelCondition {
  readonly key: string;
  /** undefined: any value. */
  readonly value: string | undefined;
}

/**
 * Whether the filter selects a volume; `isHeld` is asked when it matters. Cost: one pass over the
 * filter's conditions.
 */
export function selects(
  filter: VolumeFilter,
  entry: VolumeEntry,
  isHeld: (entry: VolumeEntry) => boolean,
): boolean {
  const { names, drivers, labels, withoutLabels, dangling } = filter;
  if (drivers !== undefined && !drivers.has(entry.driver)) return false;
  if (labels?.every((condition) => holds(condition, entry)) === false) return false;
  if (names !== undefined && !names.some((matches) => matches(entry.name))) return false;
  if (withoutLabels?.every((condition) => holds(condition, entry)) === true) return false;
  return dangling === undefined || isHeld(entry) !== dangling;
}

function holds(condition: LabelCondition, entry: VolumeEntry): boolean {
  if (entry.labels === null || !Object.hasOwn(entry.labels, condition.key)) return false;
  return condition.value === undefined || entry.labels[condition.key] === condition.value;
}
