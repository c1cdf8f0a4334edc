// Users by their numbers: the first of a number, and none where nobody can say.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../test/support/state-bench.ts";
import { userNames } from "./user-names.ts";

test("names are read from the file, and again when it may have changed", () => {
  using folder = temporaryDirectory();
  const path = join(folder.path, "passwd");
  writeFileSync(path, "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\n\nbad\nkim:x:1000:1000:::\n");
  let nowMs = 0;
  const nameOf = userNames(() => nowMs, path);
  expect([nameOf(0), nameOf(1000), nameOf(5)]).toEqual(["root", "kim", undefined]);
  writeFileSync(path, "lee:x:5:5:::\n");
  expect(nameOf(5)).toBeUndefined();
  nowMs = 20_000;
  expect([nameOf(5), nameOf(0)]).toEqual(["lee", undefined]);
});

test("without the file nobody has a name", () => {
  expect(userNames(() => 0, "/nonexistent/passwd")(0)).toBeUndefined();
  expect(userNames(() => 0)(0)).toBe("root");
});
