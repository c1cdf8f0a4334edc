// A conflict's line: it can be read back, whatever files, containers and programs are called.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { LINE_LENGTH_MAX } from "../../core/state-store.ts";
import { conflictLine, fileText, parseConflictLine, writerNamed } from "./conflict-words.ts";

const id = "a".repeat(64);

test("as it stands in the history", () => {
  const [web, job] = ["a".repeat(64), "0123456789abcdef".repeat(4)];
  const writers = [
    writerNamed(web, "shop-web-1", "nginx"),
    writerNamed(job, "shop-job-1", ""),
  ] as const;
  const line = conflictLine({ file: "/index/segments_7", writers });
  expect(line).toBe("/index/segments_7: shop-web-1@aaaaaaaaaaaa (nginx), shop-job-1@0123456789ab");
  // As it was written before there were ids in it.
  const unnamed = { container: "", program: "" };
  expect(parseConflictLine("/a: one (sh), two")?.writers).toEqual([
    { ...unnamed, name: "one", program: "sh" },
    { ...unnamed, name: "two" },
  ]);
});

test("seeded: what is written is read back, in one printable line", () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,60}$/);
  const program = fc.string({ maxLength: 15, unit: "binary" });
  const file = fc.string({ maxLength: 2_000, unit: "binary" }).map((path) => `/${path}`);
  fc.assert(
    fc.property(file, name, program, name, program, (path, first, one, second, other) => {
      const writers = [writerNamed(id, first, one), writerNamed(id, second, other)] as const;
      const shown = fileText(path);
      const line = conflictLine({ file: shown, writers });
      expect(line.length).toBeLessThanOrEqual(LINE_LENGTH_MAX);
      expect(line).not.toMatch(/[\p{Cc}\n]/u);
      const read = parseConflictLine(line);
      expect(read?.writers).toEqual([...writers]);
      if (shown.length < 500) expect(read?.file).toBe(shown);
    }),
  );
});

test("a process that calls itself like a line is taken at its word nowhere", () => {
  for (const program of ["a), b (c", "x: y", "a, b", "(", ")", "a@0123456789ab"]) {
    const writers = [writerNamed(id, "one", program), writerNamed(id, "two", program)] as const;
    const read = parseConflictLine(conflictLine({ file: "/f: g, h (i)", writers }));
    expect(read).toEqual({ file: "/f: g, h (i)", writers });
    expect(writers[0].program).not.toMatch(/[(),:@]/);
  }
});

test("what is no such line is none", () => {
  for (const line of ["", "wiki", "/a: b", "a reason: with words"]) {
    expect(parseConflictLine(line)).toBeUndefined();
  }
});
