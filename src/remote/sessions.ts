// Mounts of a kind, begun and ended with their proof in the mount table; who holds them is not
// known here.
import fs from "node:fs";
import type { DriverOptions } from "../core/driver.ts";
import { EngineError, isErrno, toEngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import { mountOf } from "../core/mount-of.ts";
import type { VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { RemoteKind, RemoteMount } from "./kind.ts";
import { makeRun, type Place, removeRun } from "./layout.ts";
import { within } from "./limited.ts";
import { type ReadOptions, readOptions, readStoredOptions } from "./options.ts";
import type { RemoteDriverParts } from "./parts.ts";
import { stringsOf } from "./record.ts";
import { readBounded, writeWhole } from "./whole-files.ts";

/** With which options a mount was made; no secret is ever among them. */
const MOUNTED_FILE = "mounted.json";
/** There while what is mounted waits for an update: `UpdateCapable.isWaiting`. */
const WAITING_FILE = "waiting";

/** After so long an orderly end is given up, and the mount is taken away lazily. */
const ORDERLY_END_MS_MAX = 10_000;
/** The same where what was written is waited for. Below the deadline of `unmount`. */
const WRITE_BACK_END_MS_MAX = 50_000;

/** Where what is mounted of which volume. */
export interface SessionPlace {
  readonly volume: VolumeName;
  readonly place: Place;
  /** See `RemoteMount.isSecondClient`. */
  readonly isSecondClient?: true | undefined;
}

export class Sessions<Options> {
  readonly kind: RemoteKind<Options>;
  readonly #parts: RemoteDriverParts;

  constructor(kind: RemoteKind<Options>, parts: RemoteDriverParts) {
    this.kind = kind;
    this.#parts = parts;
  }

  /** What is to be mounted for these options. Pure. Throws `volume.option_invalid`. */
  mountFor(at: SessionPlace, options: DriverOptions): RemoteMount<Options> {
    return this.#mountOf(at, readOptions(this.kind, options));
  }

  /** What is mounted, or was, of a volume whose options are `otherwise`. */
  mountAt(at: SessionPlace, otherwise: DriverOptions): RemoteMount<Options> {
    const options = this.optionsOf(at.place) ?? otherwise;
    return this.#mountOf(at, readStoredOptions(this.kind, options));
  }

  #mountOf(
    { volume, place, isSecondClient }: SessionPlace,
    { own, common }: ReadOptions<Options>,
  ): RemoteMount<Options> {
    const { secret } = common;
    return {
      volume,
      options: own,
      subpath: common.subpath,
      target: place.data,
      isReadOnly: common.isReadOnly,
      secret: secret === undefined ? undefined : () => this.#parts.secrets.read(secret),
      runDirectory: place.run,
      keepDirectory: place.keep,
      isSecondClient,
    };
  }

  /** What people call the place on the server. Pure. */
  placeOf(options: DriverOptions): string {
    const { own, common } = readOptions(this.kind, options);
    return this.kind.place?.(own, common.subpath) ?? this.kind.server(own);
  }

  /** What is mounted there, topmost, by the mount table. */
  mountedAt({ data }: Place): MountInfo | undefined {
    const mount = mountOf(this.#parts.host.mounts(), data);
    return mount?.target === data ? mount : undefined;
  }

  /** With which options what is mounted was made; undefined: nobody knows any more. */
  optionsOf({ run }: Place): DriverOptions | undefined {
    try {
      const value: unknown = JSON.parse(readBounded(`${run}/${MOUNTED_FILE}`));
      return typeof value === "object" && value !== null ? stringsOf({ ...value }) : undefined;
    } catch (thrown) {
      if (isErrno(thrown, "ENOENT") || thrown instanceof SyntaxError) return undefined;
      throw toEngineError(thrown);
    }
  }

  /** Notes with which options what is mounted is in effect. Throws `storage.*`. */
  note(place: Place, options: DriverOptions): void {
    makeRun(place);
    writeWhole(`${place.run}/${MOUNTED_FILE}`, JSON.stringify(options));
    fs.rmSync(`${place.run}/${WAITING_FILE}`, { force: true });
  }

  /** Notes that what is mounted there was made before an update. Throws `storage.*`. */
  noteWaiting(place: Place): void {
    makeRun(place);
    writeWhole(`${place.run}/${WAITING_FILE}`, "");
  }

  /** Whether it was, and is there still: over restarts of the daemon, too. */
  isWaiting(place: Place): boolean {
    return fs.existsSync(`${place.run}/${WAITING_FILE}`) && this.mountedAt(place) !== undefined;
  }

  /**
   * Mounts, where nothing is mounted. When it throws, nothing is. Throws what `RemoteKind.mount`
   * does, and `volume.mount_failed` where the mount table does not show it afterwards.
   */
  async begin(at: SessionPlace, options: DriverOptions, operation: Operation): Promise<void> {
    const { place } = at;
    const there = this.mountedAt(place);
    if (there !== undefined) {
      throw new EngineError("volume.mount_failed", `${there.source} is mounted at ${place.data}`);
    }
    operation.signal.throwIfAborted();
    const mount = this.mountFor(at, options);
    this.note(place, options);
    try {
      await this.kind.mount(mount, operation);
      if (this.mountedAt(place) === undefined) {
        const message = `mount of ${at.volume}: nothing is mounted at ${place.data} afterwards`;
        throw new EngineError("volume.mount_failed", message);
      }
    } catch (thrown) {
      // Of a mount that is there all the same, what knows of its process must stay, too.
      if (this.mountedAt(place) === undefined) removeRun(place);
      throw thrown;
    }
  }

  /**
   * Ends what is mounted there. Succeeds when nothing is. What does not end in time is taken away
   * lazily. Throws `remote.unsaved`, and then it is mounted still, and `volume.unmount_failed`.
   */
  async end(
    at: SessionPlace,
    otherwise: DriverOptions,
    { isLost }: { readonly isLost: boolean },
    operation: Operation,
  ): Promise<void> {
    const { place } = at;
    operation.signal.throwIfAborted();
    const mount = this.mountAt(at, otherwise);
    if (isLost) await this.kind.unmount(mount, { isLost }, operation);
    else await this.#endInTime(mount, operation);
    await this.#takeRest(place, operation);
    removeRun(place);
  }

  async #endInTime(mount: RemoteMount<Options>, operation: Operation): Promise<void> {
    const limitMs = this.kind.writeBack !== undefined ? WRITE_BACK_END_MS_MAX : ORDERLY_END_MS_MAX;
    const limit = { limitMs, what: `the unmount of ${mount.volume}` };
    try {
      await within(limit, operation, (inner) => this.kind.unmount(mount, { isLost: false }, inner));
    } catch (thrown) {
      const { code, message } = toEngineError(thrown);
      if (code !== "driver.timed_out" || operation.signal.aborted) throw thrown;
      await this.#refuseUnsaved(mount, operation);
      const fields = { volume: mount.volume, error: message };
      operation.log.warn("storage does not answer, and is unmounted lazily", fields);
      await this.kind.unmount(mount, { isLost: true }, operation);
    }
  }

  async #refuseUnsaved(mount: RemoteMount<Options>, operation: Operation): Promise<void> {
    const { unsaved } = (await this.kind.look?.(mount, operation)) ?? {};
    if (unsaved === undefined || unsaved.fileCount === 0) return;
    const message = `volume ${mount.volume}: ${unsaved.fileCount} files are not on the server yet`;
    throw new EngineError("remote.unsaved", message, { details: { ...unsaved } });
  }

  /** Of mounts on top of each other a kind ends one. */
  async #takeRest(place: Place, operation: Operation): Promise<void> {
    if (this.mountedAt(place) !== undefined) await this.#parts.host.detach(place.data, operation);
    if (this.mountedAt(place) === undefined) return;
    throw new EngineError("volume.unmount_failed", `${place.data} is still mounted`);
  }

  /** Why what is mounted will never answer again, as far as the kind can tell; else undefined. */
  async staleness(
    at: SessionPlace,
    otherwise: DriverOptions,
    operation: Operation,
  ): Promise<string | undefined> {
    if (this.kind.look === undefined) return undefined;
    const mount = this.mountAt(at, otherwise);
    return (await this.kind.look(mount, operation)).stale;
  }
}
