// Holes are told from data, zeros that were written included.
import { expect, test } from "bun:test";
import { ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dataSpans } from "./data-spans.ts";

test("a sparse file, an empty one and one of nothing but a hole", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-spans-"));
  try {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(dataSpans(file)).toEqual([]);
    const descriptor = openSync(file, "r+");
    ftruncateSync(descriptor, 10_000_000);
    expect(dataSpans(file)).toEqual([]);
    writeSync(descriptor, Buffer.alloc(65_536), 0, 65_536, 1_048_576);
    writeSync(descriptor, "end", 9_999_997);
    const [first, last, ...more] = dataSpans(file);
    expect(first).toEqual({ start: 1_048_576, end: 1_048_576 + 65_536 });
    expect(last?.end).toBe(10_000_000);
    expect(more).toEqual([]);
    expect(() => dataSpans(join(folder, "none"))).toThrow("looking for holes");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
