// Storage that falls ill when a test says so: a driver with every facet of remote storage, over
// directories that are shown at mount points.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type {
  DriverOptions,
  StorageHealth,
  Unsaved,
  VolumeDriver,
  VolumeRecord,
  VolumeSpec,
} from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import { type HolderId, parseDriverName, type VolumeName } from "../../src/core/names.ts";

export const ready: StorageHealth = { state: "ready", reason: "", tookMs: 1 };
export const silent: StorageHealth = { state: "unreachable", reason: "timed out", tookMs: null };

const CREATED_AT_MS = 1_700_000_000_000;

/** Makes and ends what is mounted at a volume's mount point. */
export interface IllMounts {
  /** What is mounted shows `source`; what was there before is gone. */
  mount(source: string, target: string): void | Promise<void>;
  unmount(target: string): void | Promise<void>;
}

/** Volumes have the options `server` and whatever else; data is in `<root>/ill/<name>/`. */
export class IllStorage {
  /** What each server answers: by default it is ready. A promise: it is stuck until then. */
  readonly servers = new Map<string, StorageHealth | Promise<StorageHealth>>();
  /** What single volumes answer, instead of their server. */
  readonly volumes = new Map<string, StorageHealth>();
  /** Calls in order: `check media`, `heal media`, `mount media c1`, `update media`. */
  readonly calls: string[] = [];
  /** Options as the driver keeps them. */
  readonly options = new Map<string, DriverOptions>();
  /** True: mounts succeed, and nothing is mounted. */
  isLying = false;
  /** Counts the mounts of a volume: what is mounted shows the directory of this number. */
  readonly mountCounts = new Map<string, number>();
  /** What flush tells, in order, in bytes of one file. */
  unsaved: readonly number[] = [];
  /** Volumes whose process is gone. */
  readonly dead = new Set<string>();
  /** Mending takes the dead mount away even where the server does not let it mount anew. */
  losesMounts = false;
  /** How many were asked at once, at most. */
  askedAtOnceMax = 0;
  readonly #root: string;
  readonly #mounts: IllMounts;
  readonly #records = new Map<VolumeName, VolumeRecord>();
  readonly #holders = new Map<VolumeName, Set<HolderId>>();
  #askedAtOnce = 0;

  constructor(root: string, mounts: IllMounts) {
    this.#root = root;
    this.#mounts = mounts;
  }

  /** A reboot: nobody has anything mounted. */
  forgetHolders(): void {
    for (const name of this.#holders.keys()) void this.#mounts.unmount(this.#target(name));
    this.#holders.clear();
  }

  get driver(): VolumeDriver {
    const forget = async (name: VolumeName) => void this.#records.delete(name);
    return {
      name: parseDriverName("ill"),
      scope: "local",
      validate() {},
      create: async (spec) => this.#create(spec),
      get: async (name) => {
        const record = this.#records.get(name);
        if (record === undefined) return { state: "absent" };
        return { state: "found", record: { ...record, options: this.options.get(name) ?? {} } };
      },
      list: () => this.#list(),
      forget,
      destroy: forget,
      mount: (name, holder) => this.#mount(name, holder),
      unmount: (name, holder) => this.#unmount(name, holder),
      health: {
        server: serverOf,
        check: (name) => this.#check(name),
        heal: (name) => this.#heal(name),
        isDead: (name) => this.dead.has(name),
      },
      update: { update: async (spec) => this.#update(spec) },
      flush: {
        flush: async (_name, _operation, told?: (left: Unsaved) => void) => {
          for (const bytes of this.unsaved) told?.({ fileCount: 1, bytes });
        },
      },
    };
  }

  #create({ name, options }: VolumeSpec): VolumeRecord {
    const mountpoint = this.#target(name);
    mkdirSync(mountpoint, { recursive: true });
    const facts = { createdAtMs: CREATED_AT_MS, origin: "adopted", identity: "" } as const;
    this.#records.set(name, { name, options, ...facts, mountpoint });
    this.options.set(name, options);
    return this.#found(name);
  }

  async *#list(): AsyncIterable<VolumeRecord> {
    yield* this.#records.values();
  }

  async #mount(name: VolumeName, holder: HolderId): Promise<string> {
    this.calls.push(`mount ${name} ${holder}`);
    this.#refuseSilent(name);
    const own = this.#holders.get(name) ?? new Set();
    if (own.size === 0 && !this.isLying) await this.#mountAnew(name);
    this.#holders.set(name, own.add(holder));
    return this.#target(name);
  }

  async #unmount(name: VolumeName, holder: HolderId): Promise<void> {
    const own = this.#holders.get(name);
    own?.delete(holder);
    if (own?.size !== 0) return;
    await this.#mounts.unmount(this.#target(name));
    this.#holders.delete(name);
  }

  async #check(name: VolumeName): Promise<StorageHealth> {
    this.calls.push(`check ${name}`);
    this.#askedAtOnce += 1;
    this.askedAtOnceMax = Math.max(this.askedAtOnceMax, this.#askedAtOnce);
    const ofServer = this.servers.get(serverOf(this.#found(name).options));
    return await Promise.resolve(this.volumes.get(name) ?? ofServer ?? ready).finally(() => {
      this.#askedAtOnce -= 1;
    });
  }

  async #heal(name: VolumeName): Promise<void> {
    this.calls.push(`heal ${name}`);
    if (this.losesMounts) {
      await this.#mounts.unmount(this.#target(name));
      this.volumes.delete(name);
    }
    this.#refuseSilent(name);
    if (this.#holders.has(name)) await this.#mountAnew(name);
    this.volumes.delete(name);
    this.dead.delete(name);
  }

  #update({ name, options }: VolumeSpec): VolumeRecord {
    this.calls.push(`update ${name}`);
    if (options["server"] === "nowhere") {
      throw new EngineError("remote.test_failed", "nowhere: no such host");
    }
    this.options.set(name, options);
    this.#records.set(name, { ...this.#found(name), options });
    return this.#found(name);
  }

  async #mountAnew(name: VolumeName): Promise<void> {
    const count = (this.mountCounts.get(name) ?? 0) + 1;
    this.mountCounts.set(name, count);
    const source = join(this.#root, "ill", name, `server-${count}`);
    mkdirSync(source, { recursive: true });
    await this.#mounts.mount(source, this.#target(name));
  }

  #refuseSilent(name: VolumeName): void {
    const answer = this.servers.get(serverOf(this.#found(name).options));
    if (answer === undefined || !("state" in answer) || answer.state !== "unreachable") return;
    throw new EngineError("remote.unreachable", `${name}: connection timed out`);
  }

  #found(name: VolumeName): VolumeRecord {
    const record = this.#records.get(name);
    if (record !== undefined) return record;
    throw new EngineError("volume.not_found", `no volume ${name}`);
  }

  #target(name: string): string {
    return join(this.#root, "ill", name, "data");
  }
}

function serverOf(options: DriverOptions): string {
  return options["server"] ?? "";
}
