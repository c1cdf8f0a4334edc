// Sharing modes: who may start with a volume, and who has broken its mode by the kernel's flags.
import type { PeerMount } from "../../core/peer-mount.ts";
import type { EngineOptions } from "../engine-options.ts";
import { type Hold, isAwaited, isLeaving } from "../holds/hold-table.ts";

/** A container that has the volume now. */
export interface ContainerUse {
  /** 64 hex digits. */
  readonly container: string;
  /** False as soon as one of its mounts of the volume is writable. */
  readonly isReadOnly: boolean;
  /** When its hold was first mounted, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/**
 * The containers that use these holds of one volume, the oldest first, each once. Uses outside of
 * containers (an engine that copies) are left out.
 */
export function containerUses(holds: readonly Hold[]): readonly ContainerUse[] {
  const found = new Map<string, ContainerUse>();
  const ordered = holds.toSorted((left, right) => left.sinceMs - right.sinceMs);
  for (const hold of ordered) {
    for (const use of hold.uses) addUse(found, use, hold.sinceMs);
  }
  return [...found.values()];
}

function addUse(found: Map<string, ContainerUse>, use: PeerMount, sinceMs: number): void {
  if (use.container === null) return;
  const known = found.get(use.container);
  found.set(use.container, {
    container: use.container,
    isReadOnly: use.isReadOnly && (known?.isReadOnly ?? true),
    sinceMs: known?.sinceMs ?? sinceMs,
  });
}

/** The options that say who may have a volume at the same time. */
export type SharingOptions = Pick<EngineOptions, "sharing" | "database">;

/** A use that breaks an option, and which: `sharing=none`. */
export interface Breach extends ContainerUse {
  readonly rule: string;
}

/**
 * Which of the uses, the oldest first, break an option: whoever came later than who keeps to it.
 * Each once.
 */
export function violations(
  { sharing, database }: SharingOptions,
  uses: readonly ContainerUse[],
): readonly Breach[] {
  const writers = uses.filter((use) => !use.isReadOnly);
  const bySharing = {
    all: [],
    none: uses.slice(1),
    onewriter: writers.slice(1),
    readonly: writers,
  };
  const found = bySharing[sharing].map((use) => ({ ...use, rule: `sharing=${sharing}` }));
  if (database !== "exclusive") return found;
  const known = new Set(found.map(({ container }) => container));
  const others = writers.slice(1).filter(({ container }) => !known.has(container));
  return [...found, ...others.map((use) => ({ ...use, rule: "database=exclusive" }))];
}

/** The option by which one running container at a time may write; undefined: none says so. */
export function oneWriterRule({ sharing, database }: SharingOptions): string | undefined {
  if (database === "exclusive") return "database=exclusive";
  return sharing === "onewriter" ? "sharing=onewriter" : undefined;
}

/** What a Mount of a volume meets that is not for everybody. */
export interface Admission {
  /** All holds of the volume. */
  readonly holds: readonly Hold[];
  /** The ID of the Mount. */
  readonly holder: string;
  /** Podman has one ID for all of its containers: a hold of the same ID may be another's. */
  readonly isHolderShared: boolean;
  readonly nowMs: number;
  /** How long a Mount's container may take to appear. */
  readonly startMs: number;
}

/**
 * With `sharing=none`. "free": nobody else has it. "wait": another Mount's container may be about
 * to appear, or one is about to go. Otherwise the containers that have it.
 */
export function admission(question: Admission): "free" | "wait" | readonly ContainerUse[] {
  const others = otherHolds(question);
  if (others.some(isGoing(question)) || others.some(isComing(question))) return "wait";
  const uses = containerUses(others);
  return uses.length > 0 ? uses : "free";
}

/** Who else writes, where one may. */
export interface OtherWriters {
  /** Also those that are about to go. */
  readonly writers: readonly ContainerUse[];
  /** Another Mount's container may be about to appear, or a writer is about to go. */
  readonly isUnsettled: boolean;
}

/** Other containers that write to the volume, or may be about to. */
export function otherWriters(question: Admission): OtherWriters {
  const others = otherHolds(question);
  const isWriting = ({ uses }: Hold): boolean => uses.some((use) => !use.isReadOnly);
  return {
    writers: containerUses(others).filter((use) => !use.isReadOnly),
    isUnsettled:
      others.some(isComing(question)) || others.filter(isWriting).some(isGoing(question)),
  };
}

function otherHolds({ holds, holder, isHolderShared }: Admission): readonly Hold[] {
  return holds.filter((hold) => isHolderShared || hold.holder !== holder);
}

const isComing =
  ({ nowMs, startMs }: Admission) =>
  (hold: Hold): boolean =>
    isAwaited(hold, { nowMs, startMs });

const isGoing =
  ({ nowMs }: Admission) =>
  (hold: Hold): boolean =>
    hold.uses.length > 0 && isLeaving(hold, nowMs);
