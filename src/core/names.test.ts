// Names: Docker's rule and texts, safety as one path segment, and Go's quoting.
import { describe, expect, test } from "bun:test";
import path from "node:path";
import fc from "fast-check";
import { EngineError } from "./errors.ts";
import {
  goQuote,
  isVolumeName,
  makeTrashId,
  parseDriverName,
  parseHolderId,
  parseSnapshotName,
  parseTrashId,
  parseVolumeName,
} from "./names.ts";

function refusal(parse: () => unknown): readonly [string, string] {
  try {
    return ["accepted", String(parse())];
  } catch (error) {
    if (error instanceof EngineError) return [error.code, error.message];
    throw error;
  }
}

describe("volume names", () => {
  test("Docker's alphabet, from 2 to 255 bytes", () => {
    for (const name of ["ab", "0.", "A_-.", "wiki_data-1.2", "n".repeat(255), "create", "a.."]) {
      expect(refusal(() => parseVolumeName(name))).toEqual(["accepted", name]);
      expect(isVolumeName(name)).toBe(true);
    }
  });

  test("all else is refused with Docker's text, the length with our own", () => {
    const texts: Readonly<Record<string, string>> = {
      a: "volume name is too short, names should be at least two alphanumeric characters",
      "/": "volume name is too short, names should be at least two alphanumeric characters",
      ["n".repeat(256)]: "volume name is too long (256 bytes), names should be at most 255 bytes",
    };
    const odd = [
      "",
      "..",
      "./a",
      "a/b",
      "a b",
      "-a",
      "_a",
      ".a",
      "ab\n",
      "\nab",
      "ab\0",
      "äb",
      "aä",
      "a:b",
      "a\\b",
      "ａb",
      "a\u0000b",
      "a%2fb",
      "a\u2028",
      `${"n".repeat(300)}/`,
    ];
    for (const name of [...Object.keys(texts), ...odd]) {
      const [code, message] = refusal(() => parseVolumeName(name));
      expect([name, code]).toEqual([name, "volume.name_invalid"]);
      const docker =
        `${goQuote(name)} includes invalid characters for a local volume name, only ` +
        '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, ' +
        "use absolute path";
      expect(message).toBe(texts[name] ?? docker);
      expect(isVolumeName(name)).toBe(false);
    }
  });

  test("what is accepted is one path segment that leads nowhere else", () => {
    const some = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.webPath());
    fc.assert(
      fc.property(some, (text) => {
        const [outcome] = refusal(() => parseVolumeName(text));
        expect(isVolumeName(text)).toBe(outcome === "accepted");
        if (outcome !== "accepted") return;
        expect(path.resolve("/volumes", text)).toBe(`/volumes/${text}`);
        expect(Buffer.byteLength(text)).toBe(text.length);
      }),
      { numRuns: 1_000 },
    );
  });
});

test("drivers and holders have 1 to 255 printable characters", () => {
  for (const parse of [parseDriverName, parseHolderId]) {
    for (const text of ["a", "vieux/sshfs:latest", "h".repeat(255), "ä b", "0".repeat(64)]) {
      expect(refusal(() => parse(text))).toEqual(["accepted", text]);
    }
    for (const text of ["", "h".repeat(256), "a\nb", "\0", "a\u007f", "\u001b[0m"]) {
      const [code, message] = refusal(() => parse(text));
      expect(code).toBe("request.invalid");
      expect(message).toContain("1 to 255 printable characters are allowed");
      expect(message).not.toMatch(/\p{Cc}/u);
    }
  }
});

test("snapshots are named like volumes", () => {
  expect(refusal(() => parseSnapshotName("before-upgrade"))[0]).toBe("accepted");
  for (const text of ["", "a", "a/b", ".a", "n".repeat(256)]) {
    expect(refusal(() => parseSnapshotName(text))[0]).toBe("request.invalid");
  }
});

test("trash ids are theirs alone", () => {
  expect(parseTrashId("t-0123456789abcdef")).toBe(makeTrashId("0123456789abcdef"));
  for (const text of ["", "t-", "t-0123456789ABCDEF", "t-0123456789abcde", "x-0123456789abcdef"]) {
    expect(parseTrashId(text)).toBeUndefined();
  }
  expect(parseTrashId("t-0123456789abcdef\n")).toBeUndefined();
  expect(() => makeTrashId("0")).toThrow("not 16 hex digits");
});

test("quotes are Go's", () => {
  expect(goQuote('a"b\\')).toBe('"a\\"b\\\\"');
  expect(goQuote("\x07\b\f\n\r\t\v\0\x1b\x7f")).toBe('"\\a\\b\\f\\n\\r\\t\\v\\x00\\x1b\\x7f"');
  expect(goQuote("ä😀")).toBe('"ä😀"');
});
