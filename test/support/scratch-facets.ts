// The scratch driver with the facets that need real storage, played: snapshots, quota and fence.
//
// They are kept by copying and by refusing writes at the bench's own files, which is enough to show
// that the checks of these facets can be passed, and (broken-drivers.ts) that they can fail.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import type { BenchFiles, BenchParts } from "../../src/conformance/driver-bench.ts";
import type { SnapshotCapable, SnapshotRef, VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import type { VolumeName } from "../../src/core/names.ts";
import { parseSnapshotName } from "../../src/core/names.ts";
import { scratchParts } from "./driver-benches.ts";

/** The scratch bench with every facet of the contract. */
export function facetParts(): BenchParts & { readonly root: string } {
  const parts = scratchParts();
  const limits = new Map<VolumeName, number>();
  const fences = new Map<VolumeName, bigint>();
  const mounted = new Map<string, { readonly name: VolumeName; readonly fence: bigint }>();
  const trouble: Trouble = { isSilent: false, stale: new Set() };
  const driver: VolumeDriver = {
    ...parts.driver,
    async mount(name, holder, operation) {
      const path = await parts.driver.mount(name, holder, operation);
      mounted.set(path, { name, fence: fences.get(name) ?? 0n });
      return path;
    },
    snapshots: copiedSnapshots(parts.driver, join(parts.root, "snapshots")),
    quota: {
      async setLimit(name, limitBytes) {
        limits.set(name, limitBytes);
      },
    },
    fence: {
      async raise(name, fence) {
        fences.set(name, fence);
      },
    },
    ...remoteFacets(parts.driver, { root: parts.root, trouble }),
  };
  const files: BenchFiles = {
    ...parts.files,
    async write(givenPath, text) {
      const path = resolve(givenPath);
      const [top, held] = [...mounted].find(([place]) => path.startsWith(`${place}/`)) ?? [];
      if (path.startsWith(join(parts.root, "snapshots"))) throw new Error("read-only");
      if (top !== undefined && held !== undefined) {
        if (held.fence < (fences.get(held.name) ?? 0n)) throw new Error("fenced off");
        if (text.length > (limits.get(held.name) ?? Number.POSITIVE_INFINITY)) {
          throw new Error("over the limit");
        }
      }
      await parts.files.write(path, text);
    },
  };
  return {
    ...{ ...parts, driver, files },
    async silence() {
      trouble.isSilent = true;
      return {
        async [Symbol.asyncDispose]() {
          trouble.isSilent = false;
        },
      };
    },
    async kill(name) {
      const data = join(parts.root, "volumes", name, "_data");
      renameSync(data, `${data}-stale`);
      trouble.stale.add(name);
    },
  };
}

/** What is wrong with storage that is none. */
interface Trouble {
  isSilent: boolean;
  /** Their data is out of reach. */
  readonly stale: Set<VolumeName>;
}

function remoteFacets(
  driver: VolumeDriver,
  { root, trouble }: { readonly root: string; readonly trouble: Trouble },
): Pick<VolumeDriver, "health" | "update" | "flush"> {
  const mustFind = async (...[name, operation]: Parameters<VolumeDriver["get"]>) => {
    const presence = await driver.get(name, operation);
    if (presence.state === "found") return presence.record;
    throw new EngineError("volume.not_found", `no volume ${name}`);
  };
  return {
    health: {
      server: () => "scratch",
      async check(name, operation) {
        await mustFind(name, operation);
        if (trouble.stale.has(name)) return { state: "stale", reason: "killed", tookMs: null };
        if (!trouble.isSilent) return { state: "ready", reason: "", tookMs: 0 };
        return { state: "unreachable", reason: "it is silent", tookMs: null };
      },
      async heal(name, operation) {
        operation.signal.throwIfAborted();
        await mustFind(name, operation);
        if (!trouble.stale.delete(name)) return;
        const data = join(root, "volumes", name, "_data");
        renameSync(`${data}-stale`, data);
      },
    },
    update: {
      async update({ name, options }, operation) {
        operation.signal.throwIfAborted();
        const record = await mustFind(name, operation);
        driver.validate(options);
        if (trouble.isSilent) throw new EngineError("remote.test_failed", "it is silent");
        const file = join(root, "volumes", name, "record.json");
        const stored: unknown = JSON.parse(readFileSync(file, "utf8"));
        if (typeof stored !== "object") throw new TypeError("it is no record");
        writeFileSync(file, JSON.stringify({ ...stored, options }));
        return { ...record, options };
      },
      // Its mounts are plain directories: nothing is in the way of other options.
      isWaiting: () => false,
    },
    flush: {
      async flush(name, operation) {
        await mustFind(name, operation);
      },
    },
  };
}

function copiedSnapshots(driver: VolumeDriver, folder: string): SnapshotCapable {
  const place = (ref: SnapshotRef) => join(folder, ref.volume, ref.snapshot);
  const dataOf = async (...[name, operation]: Parameters<VolumeDriver["get"]>) => {
    const presence = await driver.get(name, operation);
    if (presence.state !== "found") throw new Error(`no volume ${name}`);
    return presence.record.mountpoint;
  };
  return {
    async take(ref, operation) {
      cpSync(await dataOf(ref.volume, operation), place(ref), { recursive: true });
      return { ...ref, takenAtMs: Date.now() };
    },
    async *list(volume) {
      if (!existsSync(join(folder, volume))) return;
      for (const entry of readdirSync(join(folder, volume))) {
        yield { volume, snapshot: parseSnapshotName(entry), takenAtMs: 0 };
      }
    },
    async open(ref) {
      return { path: place(ref), async [Symbol.asyncDispose]() {} };
    },
    async clone(ref, spec, operation) {
      const record = await driver.create(spec, operation);
      cpSync(place(ref), record.mountpoint, { recursive: true });
      return record;
    },
    async restore(ref, operation) {
      const data = await dataOf(ref.volume, operation);
      rmSync(data, { recursive: true });
      mkdirSync(data);
      cpSync(place(ref), data, { recursive: true });
    },
    async remove(ref) {
      rmSync(place(ref), { recursive: true, force: true });
    },
  };
}
