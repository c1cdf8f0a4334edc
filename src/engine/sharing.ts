// Sharing modes: who may start with a volume, and who has broken its mode by the kernel's flags.
import type { PeerMount } from "../core/host.ts";
import type { SharingMode } from "./engine-options.ts";
import { type Hold, isAwaited, isLeaving } from "./hold-table.ts";

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

/** Which of the uses, the oldest first, break the mode: whoever came later than who keeps to it. */
export function violations(
  mode: SharingMode,
  uses: readonly ContainerUse[],
): readonly ContainerUse[] {
  switch (mode) {
    case "all":
      return [];
    case "none":
      return uses.slice(1);
    case "onewriter":
      return uses.filter((use) => !use.isReadOnly).slice(1);
    case "readonly":
      return uses.filter((use) => !use.isReadOnly);
    default:
      return mode satisfies never;
  }
}

/** What a Mount of a volume with `sharing=none` meets. */
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
 * "free": nobody else has it. "wait": another Mount's container may be about to appear, or one is
 * about to go. Otherwise the containers that have it.
 */
export function admission(question: Admission): "free" | "wait" | readonly ContainerUse[] {
  const { holds, holder, isHolderShared, nowMs, startMs } = question;
  const others = holds.filter((hold) => isHolderShared || hold.holder !== holder);
  const isComing = (hold: Hold): boolean => isAwaited(hold, { nowMs, startMs });
  const isGoing = (hold: Hold): boolean => hold.uses.length > 0 && isLeaving(hold, nowMs);
  if (others.some(isGoing) || others.some(isComing)) return "wait";
  const uses = containerUses(others);
  return uses.length > 0 ? uses : "free";
}
