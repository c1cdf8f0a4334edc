// Looks at the kernel again and again: who uses which hold, which are over, who breaks a mode.
//
// One loop: soon after something has changed, seldom when nothing is expected. Whoever needs the
// truth now (a removal, a Mount with sharing=none) has it look at once.
import { toEngineError } from "../core/errors.ts";
import type { Host, PeerScan } from "../core/host.ts";
import type { HolderId, VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { StateStore } from "../core/state-store.ts";
import { type ContainerList, type ContainerLists, containersWith } from "./container-lists.ts";
import { engineOptions } from "./engine-options.ts";
import { holdId, removeHoldPlace } from "./hold-places.ts";
import { type Hold, type HoldGraces, type HoldVerdict, noteScan, verdict } from "./hold-table.ts";
import { isPodmans, placeOfHold, privateUses } from "./private-uses.ts";
import { containerUses } from "./sharing.ts";
import type { VolumeEngine } from "./volumes.ts";

/** Pauses after something has changed, in milliseconds. */
const SOON_MS = [20, 40, 80, 160, 320, 640] as const;
/** The pause while a container is still awaited, or may come unannounced, in milliseconds. */
const AWAITED_MS = 1_000;
/** The pause while there are holds and nothing is expected, in milliseconds. */
const SELDOM_MS = 15_000;
/** How long a removal waits for a container that has just gone, in milliseconds. */
const LEAVING_MS_MAX = 2_000;

export interface HoldSettlerParts {
  readonly state: StateStore;
  readonly host: Host;
  readonly lists: ContainerLists;
  readonly graces: HoldGraces;
  /** A fresh operation of the daemon's own. */
  readonly operation: () => Operation;
  /** The engine's volumes; a function, because they know the settler too. */
  readonly volumes: () => VolumeEngine;
  /** Told after each look: which volumes have holds, for the judge of sharing modes. */
  readonly looked?: ((volumes: ReadonlySet<VolumeName>, operation: Operation) => void) | undefined;
}

export class HoldSettler {
  readonly #parts: HoldSettlerParts;
  readonly #holds = new Map<string, Hold>();
  readonly #startedAtMs: number;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #soonIndex = 0;
  #isStopped = false;

  constructor(parts: HoldSettlerParts) {
    this.#parts = parts;
    this.#startedAtMs = parts.host.monotonicMs();
  }

  /** Also a hold whose row was lost: it goes by the name of its place (`hold-restore.ts`). */
  find(volume: string, holder: string): Hold | undefined {
    return (
      this.#holds.get(keyOf(volume, holder)) ??
      this.#holds.get(keyOf(volume, holdId(volume, holder)))
    );
  }

  holdsOf(volume: string): readonly Hold[] {
    return [...this.#holds.values()].filter((hold) => hold.volume === volume);
  }

  /** All holds. */
  all(): readonly Hold[] {
    return [...this.#holds.values()];
  }

  /** Adds a hold, or notes that it has changed: it is looked at soon. */
  add(hold: Hold): void {
    this.#holds.set(keyOf(hold.volume, hold.holder), hold);
    this.#expect();
  }

  /** Looks at the kernel now, at the holds of one volume, and ends nothing. */
  look(volume: string): void {
    this.#scan(this.holdsOf(volume));
  }

  /**
   * Looks at all holds and ends what is over. The look begins after this call; many who ask at
   * once share one. Never rejects.
   */
  settle(operation: Operation): Promise<void> {
    if (this.#holds.size === 0) return Promise.resolve();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      this.#running = this.#settleAll(operation).catch((error: unknown) => {
        operation.log.error("holds could not be looked at", {
          error: toEngineError(error).message,
        });
      });
      return this.#running;
    });
    return this.#next;
  }

  /** As `settle`, and waits a moment for containers of these volumes that are just going. */
  async settleVolumes(names: readonly string[], operation: Operation): Promise<void> {
    const { host } = this.#parts;
    const untilMs = host.monotonicMs() + LEAVING_MS_MAX;
    const wanted = new Set(names);
    const isLeaving = (hold: Hold): boolean => wanted.has(hold.volume) && hold.isHinted;
    if (![...this.#holds.values()].some((hold) => wanted.has(hold.volume))) return;
    for (;;) {
      await this.settle(operation);
      if (!this.all().some(isLeaving) || host.monotonicMs() > untilMs) return;
      await new Promise((resolve) => setTimeout(resolve, SOON_MS[0]));
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #expect(): void {
    this.#soonIndex = 0;
    this.#schedule(SOON_MS[0]);
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped || this.#holds.size === 0) return;
    this.#timer = setTimeout(() => void this.#tick(), delayMs);
    this.#timer.unref();
  }

  async #tick(): Promise<void> {
    await this.settle(this.#parts.operation());
    const index = this.#soonIndex;
    this.#soonIndex += 1;
    const soonMs = SOON_MS[index];
    const { host, graces } = this.#parts;
    const isAwaited = ({ waitingCount, mountedAtMs }: Hold): boolean =>
      waitingCount > 0 && host.monotonicMs() - mountedAtMs < graces.startMs;
    if (soonMs !== undefined) return this.#schedule(soonMs);
    const isExpecting = this.all().some((hold) => isAwaited(hold) || this.#isUnannounced(hold));
    this.#schedule(isExpecting ? AWAITED_MS : SELDOM_MS);
  }

  /** Podman sends a Mount for the first of its containers only, and others may break the mode. */
  #isUnannounced(hold: Hold): boolean {
    if (!isPodmans(hold)) return false;
    const entry = this.#parts.state.read((view) => view.volume(hold.volume));
    return entry !== undefined && engineOptions(entry.options).sharing !== "all";
  }

  #scan(holds: readonly Hold[]): PeerScan {
    const groups = new Set(holds.flatMap(({ group }) => (group === null ? [] : [group])));
    const { host } = this.#parts;
    const table = host.mounts();
    const shared = new Map<Hold, string>();
    for (const hold of holds) {
      const place = isPodmans(hold) ? placeOfHold(hold, table) : undefined;
      if (place !== undefined) shared.set(hold, place);
    }
    const scan = host.peerMounts(groups, new Set(shared.values()));
    const byGroup = Map.groupBy(scan.mounts, ({ group }) => group);
    for (const hold of holds) {
      const peers = hold.group === null ? [] : (byGroup.get(hold.group) ?? []);
      const place = shared.get(hold);
      const loose = place === undefined ? [] : privateUses({ hold, place }, scan.loose, table);
      noteScan(hold, [...peers, ...loose]);
    }
    return scan;
  }

  async #settleAll(operation: Operation): Promise<void> {
    const holds = this.all();
    const scan = this.#scan(holds);
    this.#parts.looked?.(new Set(holds.map(({ volume }) => volume)), operation);
    const first = holds.map((hold) => [hold, this.#verdict(hold, scan, undefined)] as const);
    const isAsking = first.some(([, { state }]) => state === "ask");
    const list = isAsking ? await this.#parts.lists.ask(operation) : undefined;
    const ends: Promise<void>[] = [];
    for (const [hold, early] of first) {
      const final = early.state === "ask" ? this.#verdict(hold, scan, list) : early;
      hold.stale = final.state === "unknown" ? final.reason : null;
      if (final.state === "over") ends.push(this.#end(hold, hold.mountCount, operation));
    }
    await Promise.all(ends);
  }

  #verdict(hold: Hold, { isWhole }: PeerScan, list: ContainerList | undefined): HoldVerdict {
    const { host, graces } = this.#parts;
    const { mounterPid, group } = hold;
    const isAlive = (): boolean =>
      mounterPid !== null &&
      group !== null &&
      host.seesMount(mounterPid, hold.path, group) === true;
    return verdict(hold, {
      nowMs: host.monotonicMs(),
      startedAtMs: this.#startedAtMs,
      graces,
      isScanWhole: isWhole,
      isMounterAlive: isAlive,
      lists:
        list === undefined
          ? undefined
          : {
              unreachable: list.unreachable.map(({ key }) => key),
              hasOtherRunning: this.#hasOtherRunning(hold.volume, list),
            },
    });
  }

  #hasOtherRunning(volume: VolumeName, list: ContainerList): boolean {
    const seen = new Set(containerUses(this.holdsOf(volume)).map(({ container }) => container));
    return containersWith(list, volume).some(({ id, isRunning }) => isRunning && !seen.has(id));
  }

  /** Ends a hold that is over, unless a Mount has come meanwhile. */
  async #end(hold: Hold, mountCount: number, operation: Operation): Promise<void> {
    const { host, state } = this.#parts;
    const volumes = this.#parts.volumes();
    try {
      await using _lease = await volumes.lease(hold.volume, operation);
      if (hold.mountCount !== mountCount || this.find(hold.volume, hold.holder) !== hold) return;
      if (removeHoldPlace(host, hold.path) === "busy") {
        hold.stale = "a process still uses it from outside of any container";
        return;
      }
      hold.group = null;
      const entry = state.read((view) => view.volume(hold.volume));
      if (entry !== undefined) await volumes.holders.unmount(entry, hold.holder, operation);
      this.#holds.delete(keyOf(hold.volume, hold.holder));
    } catch (error) {
      const { message } = toEngineError(error);
      hold.stale = message;
      operation.log.warn("a hold that is over could not be ended; it is tried again", {
        volume: hold.volume,
        holder: hold.holder satisfies HolderId,
        error: message,
      });
    }
  }
}

function keyOf(volume: string, holder: string): string {
  return `${volume}/${holder}`;
}
