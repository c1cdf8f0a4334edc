// Query strings as Go's ParseQuery has them, and moby's reading of booleans.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EngineError } from "../../core/errors.ts";
import { first, isTrue, parseQuery, percentDecode } from "./query.ts";

function refusal(work: () => unknown): string {
  try {
    work();
    return "accepted";
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("request.invalid");
    return error.message;
  }
}

describe("parseQuery", () => {
  const cases: readonly (readonly [string, Readonly<Record<string, readonly string[]>>])[] = [
    ["", {}],
    ["&&", {}],
    ["a", { a: [""] }],
    ["a=", { a: [""] }],
    ["=b", { "": ["b"] }],
    ["a=b=c", { a: ["b=c"] }],
    ["a=1&a=2&b=3&a=", { a: ["1", "2", ""], b: ["3"] }],
    ["a+b=c+d", { "a b": ["c d"] }],
    ["a%2Bb=%20%26%3d", { "a+b": [" &="] }],
    ["%C3%A4=%F0%9F%98%80", { ä: ["😀"] }],
    ["a=%ff%C3", { a: ["\ufffd\ufffd"] }],
    ["a=%00", { a: ["\0"] }],
    ["__proto__=x", Object.fromEntries([["__proto__", ["x"]]])],
  ];
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => {
      expect(Object.fromEntries(parseQuery(text))).toEqual(expected);
    });
  }

  test("bad escapes and semicolons are refused with Go's words", () => {
    expect(refusal(() => parseQuery("a=%zz"))).toBe('invalid URL escape "%zz"');
    expect(refusal(() => parseQuery("%"))).toBe('invalid URL escape "%"');
    expect(refusal(() => parseQuery("a=%4"))).toBe('invalid URL escape "%4"');
    expect(refusal(() => parseQuery("a=1;b=2"))).toBe("invalid semicolon separator in query");
  });

  test("what was encoded comes back, and nothing else is thrown than a refusal", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.string({ unit: "grapheme" }))), (pairs) => {
        const encode = encodeURIComponent;
        const text = pairs.map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&");
        const parsed = parseQuery(text);
        for (const [key, value] of pairs) expect(parsed.get(key)).toContain(value);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => void refusal(() => parseQuery(text))),
    );
  });
});

test("the first value counts, and a missing one is empty", () => {
  const query = parseQuery("a=1&a=2");
  expect([first(query, "a"), first(query, "b")]).toEqual(["1", ""]);
});

test("a few words are false, anything else is true", () => {
  const read = (text: string) => isTrue(parseQuery(`force=${text}`), "force");
  for (const no of ["", "0", "no", "false", "none", "No", "%20FALSE%20", "+none"]) {
    expect([no, read(no)]).toEqual([no, false]);
  }
  for (const yes of ["1", "true", "yes", "2", "off", "n", "-1", "x"]) {
    expect([yes, read(yes)]).toEqual([yes, true]);
  }
  expect(isTrue(parseQuery(""), "force")).toBe(false);
});

test("percentDecode leaves a plus alone: it is for paths", () => {
  expect(percentDecode("/a+b%2Fc")).toBe("/a+b/c");
  expect(percentDecode("/%E4")).toBe("/\ufffd");
});
