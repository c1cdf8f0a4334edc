// The size of what is said about a volume: at the limit it works, above it nothing is made.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { create, failureOf, named, names, startedEngine } from "../../test/support/engine-bench.ts";
import { DESCRIPTION_BYTES_MAX } from "../core/state-store.ts";

/** Labels that take this many bytes as JSON. */
function labelsOf(bytes: number, letter = "x"): Readonly<Record<string, string>> {
  const rest = bytes - Buffer.byteLength(JSON.stringify({ a: "" }));
  return { a: letter.repeat(rest / Buffer.byteLength(letter)) };
}

test("volumes at the limit are made and removed", async () => {
  await using bench = await startedEngine();
  const labels = labelsOf(DESCRIPTION_BYTES_MAX);
  for (const name of ["one", "two"]) await create(bench, named(name, { labels }));
  expect(bench.engine.volumes.inspect("one").labels).toEqual(labels);
  for (const name of ["one", "two"]) await bench.engine.volumes.remove(name, bench.operation());
  expect(names(bench)).toEqual([]);
  await bench.purged();
});

test.each([
  ["labels", { labels: labelsOf(DESCRIPTION_BYTES_MAX + 1) }, "Labels"],
  ["labels of many bytes", { labels: labelsOf(DESCRIPTION_BYTES_MAX + 2, "ж") }, "Labels"],
  ["labels with options", { labels: labelsOf(DESCRIPTION_BYTES_MAX), options: {} }, "Labels"],
])("over the limit nothing is made: %s", async (_what, said, field) => {
  await using bench = await startedEngine();
  const failure = await failureOf(create(bench, named("big", said)));
  expect(failure.code).toBe("request.invalid");
  expect(failure.message).toMatch(
    /^Labels of volume big are too long: .* take \d+ bytes as JSON, at most 262144 are allowed$/,
  );
  expect(failure.details).toMatchObject({ field, bytesMax: DESCRIPTION_BYTES_MAX });
  expect(names(bench)).toEqual([]);
  expect(existsSync(bench.volumePath("big"))).toBe(false);
});

test("a volume that is there is answered whatever is said about it", async () => {
  await using bench = await startedEngine();
  const entry = await create(bench, named("wiki"));
  const labels = labelsOf(DESCRIPTION_BYTES_MAX + 1);
  expect(await create(bench, named("wiki", { labels }))).toBe(entry);
});
