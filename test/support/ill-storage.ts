// Storage that falls ill when a test says so: a driver with every facet of remote storage, over
// directories that are bound to mount points.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type {
  DriverOptions,
  StorageHealth,
  VolumeDriver,
  VolumeRecord,
} from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import type { HolderId, VolumeName } from "../../src/core/names.ts";
import { parseDriverName } from "../../src/core/names.ts";

export const ready: StorageHealth = { state: "ready", reason: "", tookMs: 1 };
export const silent: StorageHealth = { state: "unreachable", reason: "timed out", tookMs: null };

/** Makes and ends what is mounted at a volume's mount point. */
export interface IllMounts {
  /** What is mounted shows `source`; what was there before is gone. */
  mount(source: string, target: string): void | Promise<void>;
  unmount(target: string): void | Promise<void>;
}

export interface IllStorage {
  readonly driver: VolumeDriver;
  /** What each server answers: by default it is ready. A promise: it is stuck until then. */
  readonly servers: Map<string, StorageHealth | Promise<StorageHealth>>;
  /** What single volumes answer, instead of their server. */
  readonly volumes: Map<string, StorageHealth>;
  /** Calls in order: `check media`, `heal media`, `mount media c1`, `update media`. */
  readonly calls: string[];
  /** Options as the driver keeps them. */
  readonly options: Map<string, DriverOptions>;
  /** True: mounts succeed, and nothing is mounted. */
  isLying: boolean;
  /** Counts the mounts of a volume: what is mounted shows the directory of this number. */
  readonly mountCounts: Map<string, number>;
  /** A reboot: nobody has anything mounted. */
  forgetHolders(): void;
  /** What flush tells, in order. */
  unsaved: readonly number[];
  /** How many were asked at once, at most. */
  askedAtOnceMax: number;
}

/** Volumes have the options `server` and whatever else; data is in `<root>/ill/<name>/`. */
export function illStorage(root: string, mounts: IllMounts): IllStorage {
  const records = new Map<VolumeName, VolumeRecord>();
  const holders = new Map<VolumeName, Set<HolderId>>();
  let askedAtOnce = 0;
  const target = (name: string) => join(root, "ill", name, "data");
  const found = (name: VolumeName): VolumeRecord => {
    const record = records.get(name);
    if (record !== undefined) return record;
    throw new EngineError("volume.not_found", `no volume ${name}`);
  };
  const serverOf = (options: DriverOptions) => options["server"] ?? "";
  const mountAnew = async (name: VolumeName) => {
    const count = (ill.mountCounts.get(name) ?? 0) + 1;
    ill.mountCounts.set(name, count);
    const source = join(root, "ill", name, `server-${count}`);
    mkdirSync(source, { recursive: true });
    await mounts.mount(source, target(name));
  };
  const refuseSilent = (name: VolumeName) => {
    const answer = ill.servers.get(serverOf(found(name).options));
    if (answer === undefined || !("state" in answer) || answer.state !== "unreachable") return;
    throw new EngineError("remote.unreachable", `${name}: connection timed out`);
  };
  const driver: VolumeDriver = {
    name: parseDriverName("ill"),
    scope: "local",
    validate() {},
    async create({ name, options }) {
      mkdirSync(target(name), { recursive: true });
      const createdAtMs = 1_700_000_000_000;
      const facts = { createdAtMs, origin: "adopted", identity: "" } as const;
      records.set(name, { name, options, ...facts, mountpoint: target(name) });
      ill.options.set(name, options);
      return found(name);
    },
    async get(name) {
      const record = records.get(name);
      if (record === undefined) return { state: "absent" };
      return { state: "found", record: { ...record, options: ill.options.get(name) ?? {} } };
    },
    async *list() {
      yield* records.values();
    },
    async forget(name) {
      records.delete(name);
    },
    async destroy(name) {
      records.delete(name);
    },
    async mount(name, holder) {
      ill.calls.push(`mount ${name} ${holder}`);
      refuseSilent(name);
      const own = holders.get(name) ?? new Set();
      if (own.size === 0 && !ill.isLying) await mountAnew(name);
      holders.set(name, own.add(holder));
      return target(name);
    },
    async unmount(name, holder) {
      const own = holders.get(name);
      own?.delete(holder);
      if (own?.size === 0) {
        await mounts.unmount(target(name));
        holders.delete(name);
      }
    },
    health: {
      server: serverOf,
      async check(name) {
        ill.calls.push(`check ${name}`);
        askedAtOnce += 1;
        ill.askedAtOnceMax = Math.max(ill.askedAtOnceMax, askedAtOnce);
        const own = ill.volumes.get(name);
        const answer = own ?? ill.servers.get(serverOf(found(name).options)) ?? ready;
        return await Promise.resolve(answer).finally(() => {
          askedAtOnce -= 1;
        });
      },
      async heal(name) {
        ill.calls.push(`heal ${name}`);
        refuseSilent(name);
        if (holders.has(name)) await mountAnew(name);
        ill.volumes.delete(name);
      },
    },
    update: {
      async update({ name, options }) {
        ill.calls.push(`update ${name}`);
        if (options["server"] === "nowhere") {
          throw new EngineError("remote.test_failed", "nowhere: no such host");
        }
        ill.options.set(name, options);
        const record = { ...found(name), options };
        records.set(name, record);
        return record;
      },
    },
    flush: {
      async flush(_name, _operation, told) {
        for (const bytes of ill.unsaved) told?.({ fileCount: 1, bytes });
      },
    },
  };
  const ill: IllStorage = {
    driver,
    servers: new Map(),
    volumes: new Map(),
    calls: [],
    options: new Map(),
    isLying: false,
    mountCounts: new Map(),
    forgetHolders() {
      for (const name of holders.keys()) void mounts.unmount(target(name));
      holders.clear();
    },
    unsaved: [],
    askedAtOnceMax: 0,
  };
  return ill;
}
