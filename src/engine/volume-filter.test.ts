// Filters: different keys must all hold, and how the values of one key go together.
import { expect, test } from "bun:test";
import { startedEngine } from "../../test/support/engine-bench.ts";
import { parseHolderId } from "../core/names.ts";
import type { VolumeFilter } from "./volume-filter.ts";

const isNamed = (wanted: string) => (name: string) => name === wanted;

test("each key alone, together, and with nothing to select", async () => {
  await using bench = await startedEngine();
  const { volumes } = bench.engine;
  const requests = [
    { name: "aa", labels: { a: "1", b: "2" } },
    { name: "bb", labels: { a: "2" } },
    { name: "cc", labels: null },
    { name: "dd", driver: "scratch", labels: { a: "" } },
  ];
  for (const request of requests) {
    await volumes.create({ options: null, ...request }, bench.operation());
  }
  await volumes.mount("bb", parseHolderId("c1"), bench.operation());
  const cases: readonly (readonly [VolumeFilter, string])[] = [
    [{}, "aa bb cc dd"],
    [{ names: [] }, ""],
    [{ names: [isNamed("bb")] }, "bb"],
    [{ names: [isNamed("bb"), isNamed("cc")] }, "bb cc"],
    [{ drivers: new Set(["scratch"]) }, "dd"],
    [{ drivers: new Set(["local", "scratch"]) }, "aa bb cc dd"],
    [{ drivers: new Set(["loc"]) }, ""],
    [{ labels: [{ key: "a", value: undefined }] }, "aa bb dd"],
    [{ labels: [{ key: "a", value: "" }] }, "dd"],
    [{ labels: [{ key: "a", value: "1" }] }, "aa"],
    [
      {
        labels: [
          { key: "a", value: undefined },
          { key: "b", value: "2" },
        ],
      },
      "aa",
    ],
    [{ labels: [{ key: "toString", value: undefined }] }, ""],
    [{ labels: [{ key: "__proto__", value: undefined }] }, ""],
    [{ withoutLabels: [{ key: "a", value: undefined }] }, "cc"],
    [
      {
        withoutLabels: [
          { key: "a", value: undefined },
          { key: "b", value: "2" },
        ],
      },
      "bb cc dd",
    ],
    [{ dangling: true }, "aa cc dd"],
    [{ dangling: false }, "bb"],
    [{ dangling: false, drivers: new Set(["scratch"]) }, ""],
    [{ dangling: true, names: [isNamed("aa"), isNamed("bb")] }, "aa"],
  ];
  for (const [filter, expected] of cases) {
    expect(
      volumes
        .list(filter)
        .map((entry) => entry.name)
        .join(" "),
    ).toBe(expected);
  }
});
