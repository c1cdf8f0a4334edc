// What is told of rclone's words.
import { expect, test } from "bun:test";
import { lastWords, uploadWords } from "./failures.ts";

test("of a file that could not be sent its name and the reason are told", () => {
  const said =
    "2026/11/26 05:09:57 ERROR : photos/a: b.jpg: vfs cache: failed to upload try #4, will retry " +
    "in 16s: vfs cache: failed to transfer file from cache to remote: 507 Insufficient Storage";
  expect(uploadWords(lastWords(said))).toBe("photos/a: b.jpg: 507 Insufficient Storage");
  const other = "ERROR : a: vfs cache: failed to download missing: object not found";
  expect(uploadWords(other)).toBe(other);
});
