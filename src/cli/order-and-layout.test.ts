// How names are ordered, columns aligned, sizes and ages written, and times read.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { editDistance, suggest } from "../core/suggest.ts";
import { CliFailure } from "./failure.ts";
import { humanBinarySize, humanDuration, humanSize, parseBytes } from "./human.ts";
import { sortNaturally } from "./natural-order.ts";
import { toDaemonTime } from "./since.ts";
import { alignColumns, alignPairs } from "./table.ts";

function sorted(names: readonly string[]): string[] {
  return sortNaturally(names, (name) => name);
}

/** The order as Docker's library defines it, one step after the other. */
function compareSlowly(left: string, right: string): number {
  const a = /^[0-9]/.test(left);
  const b = /^[0-9]/.test(right);
  if (left === "" || right === "") return left.length - right.length;
  if (a !== b) return a ? -1 : 1;
  if (!a) {
    const [x = "", y = ""] = [left[0], right[0]];
    return x === y ? compareSlowly(left.slice(1), right.slice(1)) : x < y ? -1 : 1;
  }
  const digits = /^(0*)([0-9]*)/.exec(left) ?? [];
  const others = /^(0*)([0-9]*)/.exec(right) ?? [];
  const [whole = "", zeros = "", value = ""] = digits;
  const [otherWhole = "", otherZeros = "", otherValue = ""] = others;
  if (value.length !== otherValue.length) return value.length - otherValue.length;
  if (value !== otherValue) return value < otherValue ? -1 : 1;
  if (zeros.length !== otherZeros.length) return zeros.length - otherZeros.length;
  return compareSlowly(left.slice(whole.length), right.slice(otherWhole.length));
}

describe("natural order", () => {
  test("counts numbers by value, and puts digits first", () => {
    const names = ["v10", "v2", "v", "v02", "v1", "a-1", "10", "9", "v2a", "v2-b", "é", "V3"];
    const expected = ["9", "10", "V3", "a-1", "v", "v1", "v2", "v2-b", "v2a", "v02", "v10", "é"];
    expect(sorted(names)).toEqual(expected);
  });

  test("is Docker's, for any names", () => {
    const name = fc.string({ unit: fc.constantFrom(..."0019ab._-zé"), maxLength: 8 });
    fc.assert(
      fc.property(fc.array(name, { maxLength: 20 }), (names) => {
        expect(sorted(names)).toEqual(names.toSorted(compareSlowly));
      }),
    );
  });
});

describe("columns", () => {
  test("are padded by three, ten wide at least, and wide only where they reach", () => {
    expect(alignColumns("A\tB\tC\nlonger-than-ten\tb\tc\n")).toBe(
      "A                 B         C\nlonger-than-ten   b         c\n",
    );
    expect(alignColumns("a\tb\nno cell\nlonger-than-ten\tb")).toBe(
      "a         b\nno cell\nlonger-than-ten   b",
    );
  });

  test("of two are the same by the short way", () => {
    const pairs = [
      ["DRIVER", "NAME"],
      ["völume-driver", "x"],
      ["l", "y"],
    ] as const;
    const text = pairs.map((pair) => `${pair.join("\t")}\n`).join("");
    expect(alignPairs(pairs)).toBe(alignColumns(text));
  });
});

test.each([
  [0, "0B"],
  [999, "999B"],
  [1000, "1kB"],
  [1_234_567, "1.235MB"],
  [999_999, "1000kB"],
  [123_456_789, "123.5MB"],
  [2.5e12, "2.5TB"],
])("%d bytes are %s", (bytes, text) => {
  expect(humanSize(bytes)).toBe(text);
});

test("memory is counted in powers of 1024, and sizes are read back", () => {
  expect(humanBinarySize(4_096_000_000)).toBe("3.815GiB");
  expect(parseBytes("1.5k")).toBe(1536);
  expect(parseBytes("10GiB")).toBe(10 * 1024 ** 3);
  expect(parseBytes("zz")).toBeUndefined();
});

test.each([
  [0.4, "Less than a second"],
  [1, "1 second"],
  [59, "59 seconds"],
  [61, "About a minute"],
  [59 * 60, "59 minutes"],
  [3600, "About an hour"],
  [47 * 3600, "47 hours"],
  [49 * 3600, "2 days"],
  [15 * 86_400, "2 weeks"],
  [100 * 86_400, "3 months"],
  [800 * 86_400, "2 years"],
])("%d seconds are %s", (seconds, text) => {
  expect(humanDuration(seconds * 1000)).toBe(text);
});

const nowMs = Date.parse("2026-11-22T12:00:00Z");

test.each([
  ["1763800010", "1763800010"],
  ["1763800010.5", "1763800010.5"],
  ["10m", String(nowMs / 1000 - 600)],
  ["1h30m", String(nowMs / 1000 - 5400)],
  ["0", "0"],
  ["2026-11-22T12:00:00Z", `${nowMs / 1000}.000000000`],
  ["2026-11-22T13:00:00.25+01:00", `${nowMs / 1000}.250000000`],
  ["2026-11-22T12:00:00", `${nowMs / 1000}.000000000`],
  ["2026-11-22", `${nowMs / 1000 - 43_200}.000000000`],
])("the time %s is %s for the daemon", (text, expected) => {
  expect(toDaemonTime(text, nowMs)).toBe(expected);
});

test.each(["yesterday", "10 minutes", "2026-13-40", "", "1h x"])("%p is no time", (text) => {
  expect(() => toDaemonTime(text, nowMs)).toThrow(CliFailure);
});

test("suggests what is near, and nothing else", () => {
  expect(editDistance("inpsect", "inspect")).toBe(1);
  expect(suggest("lss", ["ls", "rm"])).toBe("ls");
  expect(suggest("insp", ["ls", "inspect"])).toBe("inspect");
  expect(suggest("xyz", ["ls", "rm"])).toBeUndefined();
});
