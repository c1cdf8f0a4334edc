// Looks at the kernel again and again: who uses which hold, which are over, who breaks a mode.
//
// One loop: soon after something has changed, seldom when nothing is expected. Whoever needs the
// truth now (a removal, a Mount with sharing=none) has it look at once.
import { toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { PeerQuestion, PeerScan } from "../../core/peer-mount.ts";
import type { StateStore } from "../../core/state-store.ts";
import { type ContainerList, type ContainerLists, containersWith } from "../container-lists.ts";
import type { Drivers } from "../drivers.ts";
import { engineOptions } from "../engine-options.ts";
import { pause } from "../pause.ts";
import { containerUses } from "../sharing/sharing.ts";
import type { VolumeEngine } from "../volumes.ts";
import { HoldIndex } from "./hold-index.ts";
import { HoldNames } from "./hold-names.ts";
import { holdId, layersAt, removeHoldPlace } from "./hold-places.ts";
import {
  groupsOf,
  type Hold,
  type HoldGraces,
  type HoldVerdict,
  isAwaited,
  isLeaving,
  LEAVING_MS_MAX,
  noteScan,
  ownEnd,
  verdict,
} from "./hold-table.ts";
import { isPodmans, placesOfHold, privateUses } from "./private-uses.ts";

/** Pauses after something has changed, in milliseconds. */
const SOON_MS = [20, 40, 80, 160, 320, 640] as const;
/** The pause while a container is still awaited, or may come unannounced, in milliseconds. */
const AWAITED_MS = 1_000;
/** The pause while there are holds and nothing is expected, in milliseconds. */
const SELDOM_MS = 15_000;
/** A look that nobody waits for comes no sooner than so many times what the last one took. */
const PAUSE_PER_LOOK = 4;
/** How many holds are ended side by side: they share commits. */
const ENDS_AT_ONCE = 8;
/**
 * Ending them keeps the thread while the kernel waits for all processors. The next ones, where
 * nobody waits for them, come so many times later: a tenth of the time goes there.
 */
const PAUSE_PER_END = 10;
/** How long all others wait for a plugin that is told of an end, in milliseconds. */
const PLUGIN_END_MS_MAX = 2_000;
/** How long the end of this life waits for what is just over, in milliseconds. */
const FINISH_MS_MAX = 1_000;

export interface HoldSettlerParts {
  readonly state: StateStore;
  readonly host: Host;
  readonly lists: ContainerLists;
  readonly graces: HoldGraces;
  readonly drivers: Pick<Drivers, "isOfPlugin" | "isReady">;
  /** A fresh operation of the daemon's own. */
  readonly operation: () => Operation;
  /** The engine's volumes; a function, because they know the settler too. */
  readonly volumes: () => VolumeEngine;
  /** Told after each look: which volumes have holds, for the judge of sharing modes. */
  readonly looked?: ((volumes: ReadonlySet<VolumeName>, operation: Operation) => void) | undefined;
}

interface Look {
  readonly question: PeerQuestion;
  note(seen: readonly Hold[], scan: PeerScan): void;
}

export class HoldSettler {
  readonly #parts: HoldSettlerParts;
  readonly #holds = new Map<string, Hold>();
  readonly #index = new HoldIndex();
  readonly #startedAtMs: number;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, by the clock that only goes forward. */
  #dueMs = 0;
  #lookMs = 0;
  /** The volumes that removals wait for, each removal's own. */
  readonly #awaited = new Set<ReadonlySet<string>>();
  readonly #names: HoldNames;
  #soonIndex = 0;
  /** Until when somebody may come who has not been announced by a Mount. */
  #awaitsUntilMs = Number.NEGATIVE_INFINITY;
  /** Holds whose driver is just being told of their end. */
  readonly #ending = new Set<Hold>();
  #isStopped = false;

  constructor(parts: HoldSettlerParts) {
    this.#parts = parts;
    this.#names = new HoldNames(parts.lists);
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

  /** All holds, by what the kernel shows of them. */
  get index(): Omit<HoldIndex, "note" | "forget"> {
    return this.#index;
  }

  /** Adds a hold, or notes that it has changed: it is looked at soon. */
  add(hold: Hold): void {
    this.#holds.set(keyOf(hold.volume, hold.holder), hold);
    this.#index.note(hold);
    this.#expect();
  }

  /** What is mounted at a hold's path has changed; also of one that is not added yet. */
  regroup(hold: Hold, groups: Pick<Hold, "group" | "lowerGroups">): void {
    Object.assign(hold, groups);
    if (this.find(hold.volume, hold.holder) === hold) this.#index.note(hold);
  }

  /** Looks again soon, and for as long as a container may take to appear. */
  expect(): void {
    const { host, graces } = this.#parts;
    this.#awaitsUntilMs = host.monotonicMs() + graces.startMs;
    this.#expect();
  }

  /** Looks at the kernel now, at the holds of one volume, and ends nothing. */
  look(volume: string): void {
    const holds = this.holdsOf(volume);
    const { question, note } = this.#lookFor(holds);
    note(holds, this.#parts.host.peerMounts(question));
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
    const wanted = new Set<string>(names);
    const isGoing = (hold: Hold): boolean =>
      wanted.has(hold.volume) && isLeaving(hold, host.monotonicMs());
    if (![...this.#holds.values()].some((hold) => wanted.has(hold.volume))) return;
    this.#awaited.add(wanted);
    try {
      for (;;) {
        await this.settle(operation);
        if (!this.all().some(isGoing) || host.monotonicMs() > untilMs) return;
        await pause(SOON_MS[0]);
      }
    } finally {
      this.#awaited.delete(wanted);
    }
  }

  /**
   * The end of this life. What an Unmount has come for is ended first, for a moment at most: the
   * next life does not know of it.
   */
  async finish(operation: Operation): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const left = this.all().filter(({ isHinted }) => isHinted);
    const volumes = [...new Set(left.map(({ volume }) => volume))];
    await Promise.race([this.settleVolumes(volumes, operation), pause(FINISH_MS_MAX)]);
  }

  #expect(): void {
    this.#soonIndex = 0;
    this.#schedule(SOON_MS[0]);
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped || this.#holds.size === 0) return;
    const pauseMs = Math.max(delayMs, PAUSE_PER_LOOK * this.#lookMs);
    const dueMs = this.#parts.host.monotonicMs() + pauseMs;
    // Whoever comes again and again must not put it off again and again.
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#tick(), pauseMs);
    this.#timer.unref();
  }

  async #tick(): Promise<void> {
    this.#timer = undefined;
    await this.settle(this.#parts.operation());
    const index = this.#soonIndex;
    this.#soonIndex += 1;
    const soonMs = SOON_MS[index];
    const { host, graces } = this.#parts;
    if (soonMs !== undefined) return this.#schedule(soonMs);
    const now = { nowMs: host.monotonicMs(), startMs: graces.startMs };
    const isExpecting =
      now.nowMs < this.#awaitsUntilMs ||
      this.all().some((hold) => isAwaited(hold, now) || this.#isUnannounced(hold));
    this.#schedule(isExpecting ? AWAITED_MS : SELDOM_MS);
  }

  /** Podman sends a Mount for the first of its containers only, and others may break the mode. */
  #isUnannounced(hold: Hold): boolean {
    if (!isPodmans(hold)) return false;
    const entry = this.#parts.state.read((view) => view.volume(hold.volume));
    if (entry === undefined) return false;
    const { sharing, database } = engineOptions(entry.options);
    return sharing !== "all" || database === "exclusive";
  }

  /** What is to be looked for, and how it is noted. */
  #lookFor(holds: readonly Hold[]): Look {
    const podmans = holds.filter(isPodmans);
    const table = podmans.length === 0 ? [] : this.#parts.host.mounts();
    const places = new Map(podmans.map((hold) => [hold, placesOfHold(hold, table)]));
    const groups = new Map<number, string>();
    for (const hold of holds) for (const one of groupsOf(hold)) groups.set(one, ownEnd(hold.path));
    return {
      question: { groups, places: new Set([...places.values()].flat()) },
      note(seen, scan) {
        const byGroup = Map.groupBy(scan.mounts, ({ group }) => group);
        for (const hold of seen) {
          const peers = groupsOf(hold).flatMap((group) => byGroup.get(group) ?? []);
          const loose = (places.get(hold) ?? []).flatMap((place) =>
            privateUses({ hold, place }, scan.loose, table),
          );
          noteScan(hold, [...peers, ...loose]);
        }
      },
    };
  }

  async #settleAll(operation: Operation): Promise<void> {
    const { host, looked, lists } = this.#parts;
    const all = this.all();
    const before = new Map(all.map((hold) => [hold, hold.changeCount]));
    const startedMs = host.monotonicMs();
    const { question, note } = this.#lookFor(all);
    const scan = await host.peerMountsInTurns(question);
    this.#lookMs = host.monotonicMs() - startedMs;
    // What a Mount or an Unmount has overtaken is looked at again soon.
    const holds = all.filter((hold) => hold.changeCount === before.get(hold));
    note(holds, scan);
    looked?.(new Set(this.all().map(({ volume }) => volume)), operation);
    this.#names.greet(this.all(), operation);
    const first = holds.map((hold) => [hold, this.#verdict(hold, scan, undefined)] as const);
    const isAsking = first.some(([, { state }]) => state === "ask");
    const list = isAsking ? await lists.ask(operation) : undefined;
    const over: Hold[] = [];
    for (const [hold, early] of first) {
      const final = early.state === "ask" ? this.#verdict(hold, scan, list) : early;
      hold.stale = final.state === "unknown" ? final.reason : null;
      if (final.state === "over") over.push(hold);
    }
    if (!isAsking) await this.#names.learn(over, operation);
    await this.#endAll(over, before, operation);
  }

  /** Those that somebody waits for come first; others let calls through in between. */
  async #endAll(
    over: readonly Hold[],
    changeCounts: ReadonlyMap<Hold, number>,
    operation: Operation,
  ): Promise<void> {
    const isWaitedFor = ({ volume }: Hold): boolean =>
      [...this.#awaited].some((volumes) => volumes.has(volume));
    for (let left = [...over]; left.length > 0; ) {
      if (this.#awaited.size > 0) {
        left = [...left.filter(isWaitedFor), ...left.filter((hold) => !isWaitedFor(hold))];
      }
      const now = left.splice(0, ENDS_AT_ONCE);
      const took = now.map((hold) => this.#endOnce(hold, changeCounts.get(hold) ?? 0, operation));
      const tookMs = (await Promise.all(took)).reduce((sum, one) => sum + one, 0);
      if (this.#awaited.size === 0 && left.length > 0) await pause(PAUSE_PER_END * tookMs);
    }
  }

  #verdict(hold: Hold, { isWhole }: PeerScan, list: ContainerList | undefined): HoldVerdict {
    const { host, graces } = this.#parts;
    const { mounterPid, group, mayHang } = hold;
    const isAlive = (): boolean =>
      mounterPid !== null &&
      group !== null &&
      host.seesMount(mounterPid, hold.path, { group, mayHang }) === true;
    return verdict(hold, {
      nowMs: host.monotonicMs(),
      startedAtMs: this.#startedAtMs,
      graces,
      isScanWhole: isWhole,
      isMounterAlive: isAlive,
      isUserAlive: () =>
        hold.lastUses.some(({ pid, namespace }) => host.isInNamespace(pid, namespace)),
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

  /** As `#end`. A plugin that does not answer has only its own volumes waiting. */
  async #endOnce(hold: Hold, changeCount: number, operation: Operation): Promise<number> {
    if (this.#ending.has(hold)) return 0;
    this.#ending.add(hold);
    const ending = this.#end(hold, changeCount, operation).finally(() => this.#ending.delete(hold));
    const entry = this.#parts.state.read((view) => view.volume(hold.volume));
    if (entry === undefined || !this.#parts.drivers.isOfPlugin(entry.driver)) return await ending;
    return await Promise.race([ending, pause(PLUGIN_END_MS_MAX).then(() => 0)]);
  }

  /**
   * Ends a hold that is over, unless a Mount or an Unmount has come meanwhile. Returns how long
   * nothing else could be done, in milliseconds.
   */
  async #end(hold: Hold, changeCount: number, operation: Operation): Promise<number> {
    const { host, state } = this.#parts;
    const volumes = this.#parts.volumes();
    let tookMs = 0;
    try {
      await using _lease = await volumes.lease(hold.volume, operation);
      if (hold.changeCount !== changeCount || this.find(hold.volume, hold.holder) !== hold) {
        return tookMs;
      }
      const startedMs = host.monotonicMs();
      const outcome = removeHoldPlace(host, hold.path);
      tookMs = host.monotonicMs() - startedMs;
      if (outcome === "busy") {
        hold.stale = "a process still uses it from outside of any container";
        if (hold.lowerGroups.length > 0) this.regroup(hold, layersAt(host.mounts(), hold.path));
        return tookMs;
      }
      this.regroup(hold, { group: null, lowerGroups: [] });
      hold.isOver = true;
      const entry = state.read((view) => view.volume(hold.volume));
      if (entry !== undefined && !this.#parts.drivers.isReady(entry.driver)) {
        hold.stale = `nobody has it; its plugin ${entry.driver} will be told when it is back`;
        return tookMs;
      }
      // Whoever asks has it looked at; it is not they who unmount.
      const own: Operation = { ...operation, caller: { kind: "system" } };
      if (entry !== undefined) await volumes.holders.unmount(entry, this.#names.leaver(hold), own);
      this.#holds.delete(keyOf(hold.volume, hold.holder));
      this.#index.forget(hold);
    } catch (error) {
      const { message } = toEngineError(error);
      hold.stale = message;
      operation.log.warn("a hold that is over could not be ended; it is tried again", {
        volume: hold.volume,
        holder: hold.holder satisfies HolderId,
        error: message,
      });
    }
    return tookMs;
  }
}

function keyOf(volume: string, holder: string): string {
  return `${volume}/${holder}`;
}
