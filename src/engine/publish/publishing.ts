// Publishing: a directory tree of a volume is replaced at once for all readers, or rolled back.
//
// One publish at a time for each volume. The tree comes as a tar and is unpacked beside the one
// that readers see, by helpers that can be abandoned; how it takes its place is decided by what the
// storage does just then (src/host/publish/). What a crash leaves is found by the holder that the
// volume has meanwhile, which says the path.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { LeaseService } from "../../core/lease-service.ts";
import { mountOf } from "../../core/mount-of.ts";
import { type HolderId, parseHolderId, type VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import {
  type CommittedPublish,
  type PreparedPublish,
  type PrunedTrees,
  PUBLISH_KEEP_COUNT_MAX,
  type PublishMethod,
  type PublishOwner,
  type PublishPlace,
  type PublishStep,
  parsePublishPath,
  publishPathText,
  type UnpackedTree,
  type UnpackTree,
} from "../../core/publishing.ts";
import type { StateStore, VolumeEntry } from "../../core/state-store.ts";
import { refuseMoving } from "../adoption/moving.ts";
import type { Drivers } from "../drivers.ts";
import type { EventLog } from "../event-log.ts";
import type { Health } from "../health/health.ts";
import { refuseSilent } from "../health/must-answer.ts";
import { historyEntry } from "../history-entry.ts";
import { pause } from "../pause.ts";
import { isRemote } from "../volume-doctor.ts";
import type { VolumeEngine } from "../volumes.ts";
import { PublishWatch } from "./publish-watch.ts";
import { guaranteeWords } from "./publish-words.ts";

/** Who has a volume while something is published; the path stands behind it. */
const HOLDER_START = "holdfast-publish:";

/** More than that is no tree of files, but a mistake: 16 TiB, 20 million. */
const BYTES_MAX = 16 * 1024 ** 4;
const ENTRY_COUNT_MAX = 20_000_000;

/** How often what is left is removed again when that fails, and the pause before, in ms. */
const SETTLE_TRIES = 5;
const SETTLE_AGAIN_MS = 200;

export interface PublishingParts {
  readonly host: Host;
  readonly state: StateStore;
  readonly leases: LeaseService;
  readonly drivers: Drivers;
  readonly volumes: VolumeEngine;
  readonly health: Pick<Health, "of">;
  readonly events: EventLog;
  readonly operation: () => Operation;
}

export interface PublishRequest {
  /** By name or alias. */
  readonly volume: string;
  /** Within the volume: `/www`. */
  readonly path: string;
  /** How many trees that were replaced are kept, 0 to `PUBLISH_KEEP_COUNT_MAX`. */
  readonly keep: number;
  /** Of all that is unpacked; undefined: as root's archive says, else the caller's own. */
  readonly owner?: { readonly userId: number; readonly groupId: number } | undefined;
  /** Readers may find nothing for a moment, where the storage can do no better. */
  readonly allowGap: boolean;
}

export interface Published {
  readonly volume: VolumeName;
  readonly path: string;
  readonly method: PublishMethod;
  readonly fileSystem: string;
  /** What readers can rely on: see `guaranteeWords`. */
  readonly guarantee: string;
  readonly tookMs: number;
  /** Trees that are there for a roll-back, and those that made room. */
  readonly kept: number;
  readonly removed: number;
  /** null: it was rolled back. */
  readonly tree: UnpackedTree | null;
}

/** The volume while it is published to. */
interface Stage {
  readonly entry: VolumeEntry;
  readonly place: PublishPlace;
  /** Where its data is. */
  readonly directory: string;
}

/**
 * Both calls throw `volume.not_found`, `publish.*`, `storage.*`, `remote.unreachable`,
 * `operation.timed_out` while another one is under way for longer than a lease is waited for, and
 * what `mount` throws. Then readers see what they saw before, unless the code is `publish.changed`.
 */
export class Publishing {
  readonly #parts: PublishingParts;

  constructor(parts: PublishingParts) {
    this.#parts = parts;
  }

  /**
   * `archive` is a plain tar; it is read no faster than it is unpacked. When it ends in the middle
   * nothing has changed and nothing is left. Also throws what `archive` throws.
   */
  async publish(
    request: PublishRequest,
    archive: AsyncIterable<Uint8Array>,
    operation: Operation,
  ): Promise<Published> {
    const { host } = this.#parts;
    checkKeep(request.keep);
    return await this.#withVolume(request, operation, async (stage) => {
      const startedMs = host.monotonicMs();
      this.#refuseCopies(stage, request.allowGap);
      const hex = host.randomHex(8);
      const { allowGap } = request;
      const prepare = { ...stage.place, do: "prepare", hex, allowGap } as const;
      // The helper is this same executable, and answers what the types say.
      const prepared = (await this.#step(stage, prepare, operation)) as PreparedPublish;
      let tree: UnpackedTree;
      try {
        tree = await this.#unpack(stage, { request, prepared, archive }, operation);
        // From here on it is done, whoever goes away.
        const times = { hex, nowMs: host.nowMs() };
        const commit: PublishStep = { ...stage.place, ...prepared, do: "commit", ...times };
        await this.#step(stage, commit, this.#parts.operation());
      } catch (thrown) {
        await this.#settle(stage);
        throw thrown;
      }
      const { method } = prepared;
      return await this.#finish(stage, { method, keep: request.keep, tree, startedMs }, operation);
    });
  }

  /**
   * Puts the tree that was replaced last back in place, and keeps the other one in its stead: a
   * second roll-back undoes the first.
   */
  async rollBack(
    request: Pick<PublishRequest, "volume" | "path" | "allowGap">,
    operation: Operation,
  ): Promise<Published> {
    const { host } = this.#parts;
    return await this.#withVolume(request, operation, async (stage) => {
      const startedMs = host.monotonicMs();
      this.#refuseCopies(stage, request.allowGap);
      const { allowGap } = request;
      const how = { hex: host.randomHex(8), nowMs: host.nowMs(), allowGap };
      const step: PublishStep = { ...stage.place, do: "rollback", ...how };
      // As above.
      const done = (await this.#step(stage, step, this.#parts.operation())) as CommittedPublish;
      const { method } = done;
      const keep = PUBLISH_KEEP_COUNT_MAX;
      return await this.#finish(stage, { method, keep, tree: null, startedMs }, operation);
    });
  }

  /** Puts right what an earlier life has left, one volume after the other. Never rejects. */
  async endLeftovers(): Promise<void> {
    const left = this.#parts.state.read((view) =>
      [...view.volumes()].flatMap(({ name }) =>
        view
          .holders(name)
          .filter(({ holder }) => holder.startsWith(HOLDER_START))
          .map(({ holder }) => ({ volume: name, path: holder.slice(HOLDER_START.length) })),
      ),
    );
    for (const { volume, path } of left) {
      const operation = this.#parts.operation();
      try {
        await this.#withVolume({ volume, path }, operation, async (stage) => {
          await this.#step(stage, { ...stage.place, do: "settle" }, operation);
        });
      } catch (thrown) {
        const { code, message } = toEngineError(thrown);
        const fields = { volume, path, code, error: message };
        operation.log.warn("what a publish has left could not be put right", fields);
      }
    }
  }

  /** With the volume mounted, and nobody else publishing to it. */
  async #withVolume<T>(
    request: Pick<PublishRequest, "volume" | "path">,
    operation: Operation,
    work: (stage: Stage) => Promise<T>,
  ): Promise<T> {
    const { host, volumes, leases, drivers, health } = this.#parts;
    const place = parsePublishPath(request.path);
    const { name } = volumes.inspect(request.volume);
    // No name of an application's lock has a dot in front.
    await using _lease = await leases.acquire(`lock:${name}/.publish`, "exclusive", operation);
    const holder = parseHolderId(`${HOLDER_START}${publishPathText(place)}`);
    await refuseSilent({ host, drivers, health }, volumes.inspect(name), operation);
    const directory = await volumes.mount(name, holder, operation);
    try {
      const entry = volumes.inspect(name);
      refuseMoving(entry);
      this.#refuseReadOnly(name, directory);
      return await work({ entry, place, directory });
    } finally {
      await this.#unmount(name, holder);
    }
  }

  async #unpack(
    { entry, place, directory }: Stage,
    what: {
      readonly request: PublishRequest;
      readonly prepared: PreparedPublish;
      readonly archive: AsyncIterable<Uint8Array>;
    },
    operation: Operation,
  ): Promise<UnpackedTree> {
    const { request, prepared, archive } = what;
    const input: UnpackTree = {
      parent: place.parent,
      staging: prepared.staging,
      identity: prepared.identity,
      owner: ownerFor(request, operation),
      ...{ bytesMax: BYTES_MAX, entryCountMax: ENTRY_COUNT_MAX },
    };
    using watch = new PublishWatch(entry.name);
    const signal = AbortSignal.any([operation.signal, watch.signal]);
    const asking = {
      command: "publish-unpack",
      ...{ directory, input, body: watch.around(archive) },
    } as const;
    // As above.
    return (await this.#parts.host.assist(asking, { ...operation, signal })) as UnpackedTree;
  }

  async #step(
    { entry, directory }: Stage,
    input: PublishStep,
    operation: Operation,
  ): Promise<unknown> {
    using watch = new PublishWatch(entry.name);
    watch.busy();
    const signal = AbortSignal.any([operation.signal, watch.signal]);
    const told = () => watch.busy();
    const asking = { command: "publish-step", directory, input, told } as const;
    return await this.#parts.host.assist(asking, { ...operation, signal });
  }

  /** After a failure, which is what is told. A helper that was killed may not be gone yet. */
  async #settle(stage: Stage): Promise<void> {
    const operation = this.#parts.operation();
    for (let triesLeft = SETTLE_TRIES; ; triesLeft--) {
      try {
        await this.#step(stage, { ...stage.place, do: "settle" }, operation);
        return;
      } catch (thrown) {
        if (triesLeft === 0) {
          const { code, message } = toEngineError(thrown);
          const path = publishPathText(stage.place);
          const fields = { volume: stage.entry.name, path, code, error: message };
          operation.log.warn("what a publish has left is removed by the next one", fields);
          return;
        }
      }
      await pause(SETTLE_AGAIN_MS);
    }
  }

  /** It is in place: what follows must not make it a failure. */
  async #finish(
    stage: Stage,
    done: {
      readonly method: PublishMethod;
      readonly keep: number;
      readonly tree: UnpackedTree | null;
      readonly startedMs: number;
    },
    operation: Operation,
  ): Promise<Published> {
    const { host, state, events, drivers } = this.#parts;
    const { entry, place, directory } = stage;
    const { method, keep, tree, startedMs } = done;
    const path = publishPathText(place);
    const tookMs = host.monotonicMs() - startedMs;
    const subject = tree === null ? `${path}, rolled back` : path;
    const change = { action: "publish", entry, subject } as const;
    await state.write((transaction) =>
      transaction.addHistory(historyEntry(host, change, operation)),
    );
    const rolledBack = tree === null ? { rollback: "true" } : {};
    events.volume("publish", entry.name, { driver: entry.driver, path, ...rolledBack });
    const pruned = await this.#prune(stage, keep);
    const fileSystem = mountOf(host.mounts(), directory)?.fileSystem ?? "";
    const isElsewhere = isRemote(drivers.of(entry), entry);
    const guarantee = guaranteeWords({ method, fileSystem, isRemote: isElsewhere });
    return { volume: entry.name, path, method, fileSystem, guarantee, tookMs, ...pruned, tree };
  }

  async #prune(stage: Stage, keep: number): Promise<PrunedTrees> {
    const operation = this.#parts.operation();
    try {
      // As above.
      return (await this.#step(
        stage,
        { ...stage.place, do: "prune", keep },
        operation,
      )) as PrunedTrees;
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      const fields = { volume: stage.entry.name, code, error: message };
      operation.log.warn("older trees could not be removed; the next publish tries again", fields);
      return { kept: keep, removed: 0 };
    }
  }

  #refuseReadOnly(name: VolumeName, directory: string): void {
    const mount = mountOf(this.#parts.host.mounts(), directory);
    const options = [...(mount?.options ?? []), ...(mount?.superOptions ?? [])];
    if (!options.includes("ro")) return;
    throw new EngineError(
      "storage.read_only",
      `volume ${name}: its storage is mounted read-only, nothing can be published to it`,
      { details: { volume: name } },
    );
  }

  /** What writes later renames by copying file after file: no step of it is at once for readers. */
  #refuseCopies({ entry, place }: Stage, allowGap: boolean): void {
    if (allowGap || this.#parts.drivers.of(entry).flush === undefined) return;
    const path = publishPathText(place);
    throw new EngineError(
      "publish.not_atomic",
      `${path}: volumes of the driver ${entry.driver} rename a directory by copying what is in it`,
      { details: { path } },
    );
  }

  async #unmount(name: VolumeName, holder: HolderId): Promise<void> {
    const operation = this.#parts.operation();
    try {
      await this.#parts.volumes.unmount(name, holder, operation);
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      const fields = { volume: name, code, error: message };
      operation.log.warn("a volume that was published to could not be unmounted", fields);
    }
  }
}

function ownerFor({ owner }: PublishRequest, { caller }: Operation): PublishOwner {
  const isTrusted = caller.kind === "system" || caller.uid === 0;
  if (owner !== undefined) return { ...owner, isTrusted };
  if (caller.kind === "system" || caller.uid === 0) return "archive";
  return { userId: caller.uid, groupId: caller.gid, isTrusted: false };
}

function checkKeep(keep: number): void {
  if (Number.isInteger(keep) && keep >= 0 && keep <= PUBLISH_KEEP_COUNT_MAX) return;
  throw new EngineError(
    "request.invalid",
    `keep ${keep}: a whole number from 0 to ${PUBLISH_KEEP_COUNT_MAX} is needed`,
    { details: { field: "keep", value: keep } },
  );
}
