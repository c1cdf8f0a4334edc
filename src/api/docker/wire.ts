// Volumes in Docker's JSON.
import type { VolumeEntry } from "../../core/state-store.ts";
import type { VolumeUsage } from "../../engine/usage.ts";
import { goJson, mapJson } from "./answers.ts";

/** An entry never changes, so its JSON is made once: a list is a join of these. */
const jsonOfEntry = new WeakMap<VolumeEntry, string>();

/** The Volume object, keys in the order of Go's struct. */
export function volumeJson(entry: VolumeEntry): string {
  const known = jsonOfEntry.get(entry);
  if (known !== undefined) return known;
  const { driver, mountpoint, name, scope } = entry;
  const json =
    `{"CreatedAt":${goJson(rfc3339(entry.createdAtMs))},"Driver":${goJson(driver)},` +
    `"Labels":${mapJson(entry.labels)},"Mountpoint":${goJson(mountpoint)},` +
    `"Name":${goJson(name)},"Options":${mapJson(entry.options)},"Scope":${goJson(scope)}}`;
  jsonOfEntry.set(entry, json);
  return json;
}

/** The Volume object with Status, whose keys are put in order: a map in Go's struct. */
export function volumeStatusJson(entry: VolumeEntry, status: object): string {
  const sorted = Object.entries(status).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `${volumeJson(entry).slice(0, -1)},"Status":${goJson(Object.fromEntries(sorted))}}`;
}

/** The Volume object with UsageData, as in /system/df. */
export function volumeUsageJson({ entry, sizeBytes, holderCount }: VolumeUsage): string {
  const usage = goJson({ RefCount: holderCount, Size: sizeBytes });
  return `${volumeJson(entry).slice(0, -1)},"UsageData":${usage}}`;
}

/** RFC 3339 with seconds in the daemon's own time zone, as Go's time.RFC3339 prints it. */
export function rfc3339(atMs: number): string {
  const offsetMinutes = -new Date(atMs).getTimezoneOffset();
  const local = new Date(atMs + offsetMinutes * 60_000).toISOString().slice(0, 19);
  if (offsetMinutes === 0) return `${local}Z`;
  const sign = offsetMinutes < 0 ? "-" : "+";
  const minutes = Math.abs(offsetMinutes);
  const two = (count: number): string => String(count).padStart(2, "0");
  return `${local}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
