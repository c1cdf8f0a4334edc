// A volume as `inspect` prints it: Go's order of fields and keys, and its JSON.
import type { ApiVolume } from "./volume.ts";

/** The volume in the order of Docker's struct, without what Docker omits: what inspect prints. */
export function volumeObject(volume: ApiVolume): Readonly<Record<string, unknown>> {
  const { ClusterVolume, CreatedAt, Status, UsageData } = volume;
  const hasStatus = Status !== undefined && Status !== null && Object.keys(Status).length > 0;
  return {
    ...(ClusterVolume ? { ClusterVolume } : {}),
    ...(CreatedAt ? { CreatedAt } : {}),
    Driver: volume.Driver,
    Labels: sortKeys(volume.Labels),
    Mountpoint: volume.Mountpoint,
    Name: volume.Name,
    Options: sortKeys(volume.Options),
    Scope: volume.Scope,
    ...(hasStatus ? { Status: sortKeys(Status) } : {}),
    ...(UsageData ? { UsageData } : {}),
  };
}

/** Go writes the keys of maps in order, at every depth. */
export function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value ?? null;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortKeys(item)]));
}

/** Go's JSON encoder escapes these three unless it is told not to. */
export function escapeHtml(json: string): string {
  return json.replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026");
}
