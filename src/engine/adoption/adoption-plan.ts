// What could keep a volume of another engine from being adopted, said before anything is done.
import path from "node:path";
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { DataPlaces, ForeignUser, ForeignVolume } from "../../core/foreign-volumes.ts";
import type { Host } from "../../core/host.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { StateStore } from "../../core/state-store.ts";
import { checkDescription } from "../description.ts";

export interface ObstacleParts {
  readonly state: StateStore;
  readonly host: Pick<Host, "mounts">;
  readonly places: DataPlaces;
  /** The driver that the volumes come under. */
  readonly driver: VolumeDriver & { readonly rebuild: object };
}

/** One line of a plan. */
export interface AdoptionPlan {
  readonly volume: ForeignVolume;
  /** Why it cannot be adopted now; undefined: it can. */
  readonly obstacle: EngineError | undefined;
}

/** The first thing that forbids to adopt this volume; undefined: nothing does. Changes nothing. */
export function obstacleTo(parts: ObstacleParts, volume: ForeignVolume): EngineError | undefined {
  for (const check of [nameIsTaken, isElsewhere, isUnacceptable, isUsed, dataIsUnfit]) {
    try {
      check(parts, volume);
    } catch (thrown) {
      return toEngineError(thrown);
    }
  }
  return undefined;
}

/** Our data directory of a volume of this name. */
export function placeOf({ driver }: Pick<ObstacleParts, "driver">, name: string): string {
  const spec = { name: parseVolumeName(name), options: {} };
  return driver.rebuild.describe(spec).mountpoint;
}

function nameIsTaken({ state }: ObstacleParts, { name }: ForeignVolume): void {
  parseVolumeName(name);
  const alias = state.read((view) => view.alias(name));
  if (alias !== undefined) {
    throw new EngineError(
      "volume.exists_differently",
      `${name} is an alias of Holdfast's volume ${alias.volume}`,
      { details: { name, volume: alias.volume } },
    );
  }
  if (state.read((view) => view.volume(name)) === undefined) return;
  throw new EngineError("volume.exists_differently", `Holdfast has a volume ${name} of its own`, {
    details: { name },
  });
}

function isElsewhere(_: ObstacleParts, { isHere, mountpoint }: ForeignVolume): void {
  if (isHere) return;
  throw new EngineError(
    "adoption.refused",
    `${mountpoint} is not the same directory for Holdfast as for dockerd, which has another root ` +
      "directory or mount namespace",
    { details: { path: mountpoint } },
  );
}

function isUnacceptable({ driver }: ObstacleParts, volume: ForeignVolume): void {
  driver.validate(volume.options ?? {});
  checkDescription(parseVolumeName(volume.name), volume);
}

function isUsed(_: ObstacleParts, { name, users }: ForeignVolume): void {
  if (users.length > 0) throw usedBy(name, users);
}

/** Names the containers, and says which must be stopped before they can be removed. */
export function usedBy(name: string, users: readonly ForeignUser[]): EngineError {
  return new EngineError(
    "adoption.in_use",
    `adopt ${name}: containers have it: ${users.map(userText).join(", ")}`,
    { details: { containers: users.map((user) => user.name) } },
  );
}

/** `db of project shop (running)`. */
export function userText({ name, project, isRunning, isByPath }: ForeignUser): string {
  const of = project === null ? "" : ` of project ${project}`;
  return `${name}${of} (${isRunning ? "running" : "stopped"}${isByPath ? ", by its path" : ""})`;
}

function dataIsUnfit(parts: ObstacleParts, { name, mountpoint }: ForeignVolume): void {
  const { host, places } = parts;
  const data = places.look(mountpoint);
  if (data === undefined) {
    throw new EngineError("volume.data_missing", `${mountpoint} is not there`);
  }
  const inside = host.mounts().find(({ target }) => `${target}/`.startsWith(`${mountpoint}/`));
  if (inside !== undefined) {
    throw new EngineError(
      "adoption.in_use",
      `adopt ${name}: something is mounted in it, at ${inside.target}; unmount it first`,
      { details: { path: inside.target } },
    );
  }
  const place = placeOf(parts, name);
  const ours = places.look(path.dirname(path.dirname(place)));
  if (data.device !== ours?.device) throw otherFileSystem(name, mountpoint, place);
}

/** Says how to copy instead. */
export function otherFileSystem(name: string, from: string, to: string): EngineError {
  return new EngineError(
    "adoption.other_file_system",
    `${from} and ${path.dirname(path.dirname(to))} are not on the same mount of one file system, ` +
      "and data is moved by renaming only. To copy it, with its containers removed: " +
      `holdfast volume create ${name} && cp -a ${from}/. ${to}/ && ` +
      `docker volume rm ${name}`,
    { details: { from, to } },
  );
}
