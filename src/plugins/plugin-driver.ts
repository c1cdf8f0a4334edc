// Any plugin as a `VolumeDriver`, as far as Docker's protocol lets it be one.
//
// Calls go to the plugin as it is now (`PluginAccess`): it may have another process, another
// address or none since the last one. What it mounts is bound once more at a place of our own.
import { posix } from "node:path";
import type { Presence, VolumeDriver, VolumeRecord } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { type DriverName, type HolderId, isVolumeName, type VolumeName } from "../core/names.ts";
import type { Operation } from "../core/operation.ts";
import type { MountedData, PluginMounts } from "./plugin-mounts.ts";
import { deniesVolume } from "./plugin-words.ts";
import type { JsonObject } from "./protocol/fields.ts";
import type { ListedVolume } from "./protocol/list-answer.ts";
import type { PluginMethod } from "./protocol/methods.ts";
import {
  type AnsweredVolume,
  isPath,
  readMountpoint,
  readVolume,
} from "./protocol/volume-answer.ts";

/** Where a managed plugin's file system is on the host. */
export interface PluginRoot {
  readonly rootfs: string;
  /** Inside, where the plugin mounts for others to see; outside, where that is on the host. */
  readonly propagated: { readonly inside: string; readonly outside: string } | null;
}

/** A plugin that can be called. Calls throw as those of `PluginClient`, and `plugin.disabled`. */
export interface PluginAccess {
  call<T>(
    method: PluginMethod,
    body: JsonObject,
    read: (answer: JsonObject) => T,
    operation: Operation,
  ): Promise<T>;
  list(operation: Operation): Promise<readonly ListedVolume[]>;
  /** undefined: the plugin sees the host's own paths. */
  root(): PluginRoot | undefined;
}

/** How many holders of one volume are told of once more. */
const DOUBTFUL_COUNT_MAX = 64;

export interface PluginDriverParts {
  readonly name: DriverName;
  readonly scope: "local" | "global";
  readonly access: PluginAccess;
  readonly mounts: PluginMounts;
  /** Who has mounted what in this life of the daemon. */
  readonly holders: Map<VolumeName, Set<HolderId>>;
  /** Whose unmount the plugin has refused, or answered with nonsense: it may count them still. */
  readonly doubtful: Map<VolumeName, Set<HolderId>>;
  readonly host: Pick<Host, "nowMs">;
}

/** See core/driver.ts for what each member promises, and for what `isPlugin` takes back. */
export function pluginDriver(parts: PluginDriverParts): VolumeDriver {
  const { name, scope, access, host, holders, doubtful } = parts;
  return {
    name,
    scope,
    isPlugin: true,
    validate() {
      // Only the plugin knows.
    },
    async create(spec, operation) {
      operation.signal.throwIfAborted();
      // Docker asks first, too: Create is not called for what is there.
      const found = await ask(access, spec.name, operation);
      if (typeof found === "object") return recordOf(parts, spec.name, found);
      const options = Object.entries(spec.options).sort(byKey);
      const body = {
        Name: spec.name,
        Opts: options.length === 0 ? null : Object.fromEntries(options),
      };
      await access.call("VolumeDriver.Create", body, ignored, operation);
      const made = { mountpoint: "", createdAtMs: host.nowMs(), status: undefined };
      return recordOf(parts, spec.name, made);
    },
    get: (volume, operation) => presenceOf(parts, volume, operation),
    async *list(operation) {
      const listed = await access.list(operation);
      const seen = new Set<string>();
      for (const { name: volume, ...about } of listed) {
        // What cannot be said to us cannot be used through us.
        if (!isVolumeName(volume) || seen.has(volume)) continue;
        seen.add(volume);
        yield recordOf(parts, volume as VolumeName, { ...about, status: undefined }); // It is one.
      }
    },
    async forget(volume, operation) {
      operation.signal.throwIfAborted();
      holders.delete(volume);
      doubtful.delete(volume);
    },
    async destroy(volume, operation) {
      operation.signal.throwIfAborted();
      refuseHeld(parts, volume);
      await tellDoubtful(parts, volume, operation);
      try {
        await access.call("VolumeDriver.Remove", { Name: volume }, ignored, operation);
      } catch (error) {
        if (toEngineError(error).code !== "plugin.failed") throw error;
        const presence = await presenceOf(parts, volume, operation);
        if (presence.state !== "absent") throw error;
      }
      holders.delete(volume);
      doubtful.delete(volume);
    },
    mount: (volume, holder, operation) => mount(parts, { volume, holder }, operation),
    unmount: (volume, holder, operation) => unmount(parts, { volume, holder }, operation),
  };
}

interface Holding {
  readonly volume: VolumeName;
  readonly holder: HolderId;
}

/** What Get says: the volume, or the words in which it is denied. */
async function ask(
  access: PluginAccess,
  volume: VolumeName,
  operation: Operation,
): Promise<AnsweredVolume | string> {
  const read = (answer: JsonObject) => readVolume(answer, volume);
  try {
    const found = await access.call("VolumeDriver.Get", { Name: volume }, read, operation);
    return found ?? "no such volume";
  } catch (error) {
    const { code, details } = toEngineError(error);
    const words = details["words"];
    if (code === "plugin.failed" && typeof words === "string" && deniesVolume(words)) return words;
    throw error;
  }
}

async function presenceOf(
  parts: PluginDriverParts,
  volume: VolumeName,
  operation: Operation,
): Promise<Presence> {
  const { access } = parts;
  try {
    const found = await ask(access, volume, operation);
    if (typeof found === "object") {
      return { state: "found", record: recordOf(parts, volume, found) };
    }
    const listed = await access.list(operation);
    return listed.some(({ name }) => name === volume)
      ? { state: "unknown", reason: `${found}, but the plugin lists it` }
      : { state: "absent" };
  } catch (error) {
    operation.signal.throwIfAborted();
    return { state: "unknown", reason: toEngineError(error).message };
  }
}

async function mount(
  parts: PluginDriverParts,
  holding: Holding,
  operation: Operation,
): Promise<string> {
  operation.signal.throwIfAborted();
  const { mounts, holders } = parts;
  const { volume, holder } = holding;
  const place = mounts.place(volume, holder);
  if (!mounts.isNoted(place)) {
    await mountFirst(parts, holding, operation);
  } else if (mounts.isMounted(place)) {
    // Of an earlier mount, or of an earlier life: the plugin counts it already.
    if (!(await mounts.isAlive(place, operation))) await mountAnew(parts, holding, operation);
  } else {
    // A crash or a silence came in between. Nobody else has it: an end too many harms nobody, and
    // a mount too many would never end.
    const isDoubtful = mounts.counted(volume).length <= 1;
    if (isDoubtful) await tellUnmounted(parts, holding, operation);
    await mountFirst(parts, holding, operation);
  }
  parts.doubtful.get(volume)?.delete(holder);
  const known = holders.get(volume);
  if (known === undefined) holders.set(volume, new Set([holder]));
  else known.add(holder);
  return place;
}

async function mountFirst(
  parts: PluginDriverParts,
  holding: Holding,
  operation: Operation,
): Promise<void> {
  const { access, mounts } = parts;
  const { volume, holder } = holding;
  const place = mounts.makePlace(volume, holder);
  const body = { Name: volume, ID: holder };
  let path: string;
  try {
    path = await access.call("VolumeDriver.Mount", body, readMountpoint, operation);
  } catch (error) {
    // A plugin that has denied it counts nothing; of one that fell silent nobody knows.
    const { code, details } = toEngineError(error);
    const isDenied = code === "plugin.failed" || code === "plugin.disabled";
    if (isDenied || details["wasSent"] === false) mounts.removePlace(place);
    if (code === "plugin.failed") await throwIfAbsent(parts, { volume, error }, operation);
    throw error;
  }
  try {
    await mounts.bind(place, scoped(access.root(), path), operation);
  } catch (error) {
    await tellUnmounted(parts, holding, operation).catch((failure: unknown) => {
      const { message } = toEngineError(failure);
      operation.log.warn("a plugin could not be told of an unmount", { volume, error: message });
    });
    mounts.removePlace(place);
    throw error;
  }
}

/** The plugin's own words stay, under the code for what is not there. */
async function throwIfAbsent(
  parts: PluginDriverParts,
  { volume, error }: { readonly volume: VolumeName; readonly error: unknown },
  operation: Operation,
): Promise<void> {
  const { state } = await presenceOf(parts, volume, operation);
  if (state !== "absent") return;
  const { message, details } = toEngineError(error);
  throw new EngineError("volume.not_found", message, { cause: error, details });
}

/** What is mounted has died. The plugin may count it still, and would answer what is dead. */
async function mountAnew(
  parts: PluginDriverParts,
  holding: Holding,
  operation: Operation,
): Promise<void> {
  const { mounts } = parts;
  const place = mounts.place(holding.volume, holding.holder);
  operation.log.warn("what a plugin had mounted has died, and is mounted anew", {
    volume: holding.volume,
    plugin: parts.name,
  });
  await mounts.unbindDead(place, operation);
  await tellUnmounted(parts, holding, operation);
  await mountFirst(parts, holding, operation);
  if (await mounts.isAlive(place, operation)) return;
  await mounts.unbindDead(place, operation);
  throw new EngineError(
    "plugin.failed",
    `plugin ${parts.name} says that ${holding.volume} is mounted, but that mount has died; end ` +
      "the other uses of the volume, so that the plugin mounts it anew",
    { details: { plugin: parts.name, volume: holding.volume } },
  );
}

async function unmount(
  parts: PluginDriverParts,
  holding: Holding,
  operation: Operation,
): Promise<void> {
  operation.signal.throwIfAborted();
  const { mounts, holders } = parts;
  const { volume, holder } = holding;
  const place = mounts.place(volume, holder);
  if (mounts.isKnown(place)) {
    await mounts.unbind(place, operation);
    await tellUnmounted(parts, holding, operation);
    mounts.removePlace(place);
  }
  const known = holders.get(volume);
  known?.delete(holder);
  if (known?.size === 0) holders.delete(volume);
}

/**
 * What the plugin has against it changes nothing: nobody has the volume any more. One that is
 * disabled has no process that could count anything.
 */
async function tellUnmounted(
  { access, name, doubtful }: PluginDriverParts,
  { volume, holder }: Holding,
  operation: Operation,
): Promise<void> {
  try {
    const body = { Name: volume, ID: holder };
    await access.call("VolumeDriver.Unmount", body, ignored, operation);
  } catch (error) {
    const { code, message } = toEngineError(error);
    if (code === "plugin.disabled") return;
    if (code !== "plugin.failed") throw error;
    const others = doubtful.get(volume) ?? new Set();
    if (others.size < DOUBTFUL_COUNT_MAX) doubtful.set(volume, others.add(holder));
    operation.log.warn("a plugin does not like an unmount", {
      plugin: name,
      volume,
      error: message,
    });
  }
}

/**
 * Before a removal, when nobody has it any more: a plugin removes nothing that it counts as
 * mounted, be it from an earlier life of the daemon.
 */
async function tellDoubtful(
  parts: PluginDriverParts,
  volume: VolumeName,
  operation: Operation,
): Promise<void> {
  const doubtful = parts.doubtful.get(volume) ?? [];
  parts.doubtful.delete(volume);
  for (const holder of doubtful) await tellUnmounted(parts, { volume, holder }, operation);
  for (const { holder } of parts.mounts.counted(volume)) {
    await unmount(parts, { volume, holder }, operation);
  }
}

function refuseHeld({ holders }: PluginDriverParts, volume: VolumeName): void {
  if ((holders.get(volume)?.size ?? 0) === 0) return;
  throw new EngineError("volume.in_use", `remove ${volume}: volume is in use`, {
    details: { volume },
  });
}

function recordOf(
  { access }: PluginDriverParts,
  name: VolumeName,
  { mountpoint, createdAtMs, status }: AnsweredVolume,
): VolumeRecord {
  return {
    name,
    options: {},
    createdAtMs,
    origin: "made",
    mountpoint: isPath(mountpoint) ? shownPath(access.root(), mountpoint) : "",
    identity: "",
    ...(status === undefined ? {} : { status }),
  };
}

/** A path of the plugin's as the host has to open it. */
function scoped(root: PluginRoot | undefined, path: string): MountedData {
  if (root === undefined) return { path, beneath: undefined };
  const inside = insidePropagated(root, path);
  return inside === undefined || root.propagated === null
    ? { path: posix.normalize(path), beneath: root.rootfs }
    : { path: inside, beneath: root.propagated.outside };
}

/** The same for people. */
function shownPath(root: PluginRoot | undefined, path: string): string {
  const { path: inside, beneath } = scoped(root, path);
  if (beneath === undefined) return inside;
  return posix.join(beneath, inside).replace(/(?<=.)\/$/, "");
}

/** The part after the propagated mount, as `/…`; undefined for a path elsewhere. */
function insidePropagated({ propagated }: PluginRoot, path: string): string | undefined {
  if (propagated === null) return undefined;
  const inside = posix.normalize(`${propagated.inside}/`);
  const normal = posix.normalize(`${path}/`);
  return normal.startsWith(inside)
    ? `/${normal.slice(inside.length)}`.replace(/\/$/, "") || "/"
    : undefined;
}

function ignored(): void {
  // An answer without an `Err` says it all.
}

function byKey([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}
