// Docker's JSON of a volume: key order, sorted maps, Go's escapes, times with their zone.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startedEngine } from "../../../test/support/engine-bench.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import { rfc3339, volumeJson, volumeUsageJson } from "./wire.ts";

async function entryOf(
  labels: VolumeEntry["labels"],
  options: VolumeEntry["options"] = null,
): Promise<VolumeEntry> {
  await using bench = await startedEngine();
  const request = { name: "wiki", labels, options };
  const entry = await bench.engine.volumes.create(request, bench.operation());
  return { ...entry, mountpoint: "/data" };
}

describe("a volume", () => {
  test("has the keys of Go's struct in their order", async () => {
    const entry = await entryOf(null, {});
    const zone = rfc3339(entry.createdAtMs);
    expect(volumeJson(entry)).toBe(
      `{"CreatedAt":"${zone}","Driver":"local","Labels":null,"Mountpoint":"/data",` +
        '"Name":"wiki","Options":{},"Scope":"local"}',
    );
  });

  test("has its maps sorted by their keys", async () => {
    const labels = Object.fromEntries([
      ["b", "1"],
      ["10", "2"],
      ["9", "3"],
      ["B", "4"],
      ["a", "5"],
      ["__proto__", "6"],
    ]);
    const json = volumeJson(await entryOf(labels));
    const keys = [...(/"Labels":\{(.*?)\}/.exec(json)?.[1] ?? "").matchAll(/"([^"]+)":/g)];
    expect(keys.map((match) => match[1])).toEqual(["10", "9", "B", "__proto__", "a", "b"]);
  });

  test("writes what Go writes, escape by escape", async () => {
    const value = 'é<&>"\\\b\f\n\r\t\u0001\u007f\u2028\u2029😀\\b\\u2028';
    const json = volumeJson(await entryOf({ a: value }));
    expect(json).toContain(
      '{"a":"é<&>\\"\\\\\\u0008\\u000c\\n\\r\\t\\u0001\u007f\\u2028\\u2029😀\\\\b\\\\u2028"}',
    );
    expect(JSON.parse(json).Labels).toEqual({ a: value });
  });

  test("is made once for an entry, and again for a changed one", async () => {
    const entry = await entryOf({ a: "1" });
    expect(volumeJson(entry)).toBe(volumeJson(entry));
    expect(volumeJson({ ...entry, labels: { a: "2" } })).toContain('"a":"2"');
  });

  test("has its usage behind all else", async () => {
    const entry = await entryOf(null);
    const json = volumeUsageJson({ entry, sizeBytes: -1, holderCount: 2 });
    expect(json).toEndWith(',"Scope":"local","UsageData":{"RefCount":2,"Size":-1}}');
  });
});

describe("times", () => {
  /** What another process prints that lives in this zone. */
  function inZone(zone: string, times: readonly number[]): readonly string[] {
    const wire = join(import.meta.dir, "wire.ts");
    const script = `import { rfc3339 } from ${JSON.stringify(wire)};
      console.log(${JSON.stringify(times)}.map((time) => rfc3339(time)).join("\\n"));`;
    const done = Bun.spawnSync([process.execPath, "-e", script], {
      env: { ...process.env, TZ: zone },
    });
    return done.stdout.toString().trim().split("\n");
  }
  const summer = Date.UTC(2026, 6, 1, 12, 30, 5, 999);
  const winter = Date.UTC(2026, 11, 31, 23, 59, 59);

  test("are RFC 3339 with seconds in the daemon's zone, as of that day", () => {
    expect(inZone("UTC", [summer, winter, 0])).toEqual([
      "2026-07-01T12:30:05Z",
      "2026-12-31T23:59:59Z",
      "1970-01-01T00:00:00Z",
    ]);
    expect(inZone("Europe/Berlin", [summer, winter])).toEqual([
      "2026-07-01T14:30:05+02:00",
      "2027-01-01T00:59:59+01:00",
    ]);
    expect(inZone("America/St_Johns", [summer, winter])).toEqual([
      "2026-07-01T10:00:05-02:30",
      "2026-12-31T20:29:59-03:30",
    ]);
    expect(inZone("Asia/Kathmandu", [summer])).toEqual(["2026-07-01T18:15:05+05:45"]);
  });
});
