// Filters: both spellings, dockerd's texts, and patterns that cannot stop the daemon.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EngineError } from "../../core/errors.ts";
import {
  checkKeys,
  FILTER_VALUES_COUNT_MAX,
  labelCondition,
  listFilter,
  parseFilters,
  pruneFilter,
} from "./filters.ts";

function refusal(work: () => unknown): string {
  try {
    return `accepted: ${JSON.stringify(work())}`;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("filter.invalid");
    return error.message;
  }
}

const parse = (value: unknown) => Object.fromEntries(parseFilters(JSON.stringify(value)));

describe("parseFilters", () => {
  test("nothing, null and an empty object are no filter", () => {
    for (const text of ["", "null", "{}", " {} "]) expect(parseFilters(text).size).toBe(0);
  });

  test("a map of booleans is a list of its keys, whatever the booleans are", () => {
    expect(parse({ label: { a: true, b: false, c: null } })).toEqual({ label: ["a", "b", "c"] });
    expect(parse({ label: {} })).toEqual({ label: [] });
    expect(parse({ label: null })).toEqual({ label: [] });
  });

  test("a list is taken too, each value once", () => {
    expect(parse({ label: ["a", "b", "a"], name: [] })).toEqual({ label: ["a", "b"], name: [] });
    expect(parse({ label: [null] })).toEqual({ label: [""] });
  });

  test("all else is refused in few words, after the route's own", () => {
    const refused = [
      "x",
      "[]",
      "1",
      '"x"',
      "true",
      '{"label":"a"}',
      '{"label":1}',
      '{"label":{"a":1}}',
      '{"label":{"a":"b"}}',
      '{"label":[1]}',
      '{"label":[["a"]]}',
      '{"label":{"a":true}',
    ];
    for (const text of refused) {
      expect(refusal(() => parseFilters(text))).toBe("invalid filter");
      expect(refusal(() => parseFilters(text, "error reading volume filters: "))).toBe(
        "error reading volume filters: invalid filter",
      );
    }
  });

  test("a thousand values are the most", () => {
    const values = Array.from({ length: FILTER_VALUES_COUNT_MAX }, (_, index) => String(index));
    expect(parse({ label: values })["label"]).toHaveLength(1_000);
    expect(refusal(() => parse({ label: values, name: ["x"] }))).toBe(
      "invalid filter: at most 1000 values are allowed",
    );
  });

  test("anything is parsed or refused", () => {
    const filters = fc.oneof(fc.json(), fc.string());
    fc.assert(fc.property(filters, (text) => void refusal(() => parseFilters(text))));
  });
});

describe("keys", () => {
  const check = (...keys: string[]) =>
    refusal(() =>
      checkKeys(
        parseFilters(JSON.stringify(Object.fromEntries(keys.map((key) => [key, ["x"]])))),
        new Set(["name"]),
      ),
    );

  test("what the route does not know is named", () => {
    expect(check("name")).toStartWith("accepted");
    expect(check("foo")).toBe("invalid filter 'foo'");
    expect(check("name", "__proto__")).toBe("invalid filter '__proto__'");
    expect(check("Name")).toBe("invalid filter 'Name'");
  });

  test("a list takes other keys than a prune", () => {
    const filters = (key: string) => parseFilters(JSON.stringify({ [key]: ["true"] }));
    for (const key of ["scope", "label!", "all", "until"]) {
      expect(refusal(() => listFilter(filters(key)))).toBe(`invalid filter '${key}'`);
    }
    for (const key of ["until", "name", "dangling", "driver"]) {
      expect(refusal(() => pruneFilter(filters(key), false))).toBe(`invalid filter '${key}'`);
    }
  });
});

describe("dangling", () => {
  const read = (values: unknown) =>
    refusal(() => listFilter(parseFilters(JSON.stringify({ dangling: values }))));

  test("takes four words and no others", () => {
    expect([read(["true"]), read(["1"])]).toEqual([
      'accepted: {"dangling":true}',
      'accepted: {"dangling":true}',
    ]);
    expect(read({ false: true })).toBe('accepted: {"dangling":false}');
    expect(read(["0", "false"])).toBe('accepted: {"dangling":false}');
    expect(read(["maybe"])).toBe("invalid filter 'dangling=[maybe]'");
    expect(read(["True"])).toBe("invalid filter 'dangling=[True]'");
    expect(read(["true", "0"])).toBe("invalid filter 'dangling=[0 true]'");
    expect(read([])).toBe("invalid filter 'dangling'");
  });
});

describe("all", () => {
  const read = (values: readonly string[], impliesAll = false) =>
    refusal(() => pruneFilter(parseFilters(JSON.stringify({ all: values })), impliesAll).all);

  test("is read like Go's ParseBool", () => {
    for (const yes of ["1", "t", "T", "TRUE", "true", "True"]) {
      expect(read([yes])).toBe("accepted: true");
    }
    for (const no of ["0", "f", "F", "FALSE", "false", "False"]) {
      expect(read([no])).toBe("accepted: false");
    }
    expect(read(["zz"])).toBe(
      `invalid filter 'all': strconv.ParseBool: parsing "zz": invalid syntax`,
    );
    expect(read(["1", "0"])).toBe("invalid filter 'all=[0 1]': only one value is expected");
    expect(read([])).toBe("accepted: false");
  });

  test("is implied by older versions of the API, whatever is said", () => {
    expect([read([], true), read(["0"], true), read(["1"], true)]).toEqual(
      Array.from({ length: 3 }, () => "accepted: true"),
    );
    expect(pruneFilter(new Map(), true)).toEqual({ filter: {}, all: true });
  });
});

test("a label is a key, or a key and all that follows the first equals sign", () => {
  expect(labelCondition("a")).toEqual({ key: "a", value: undefined });
  expect(labelCondition("a=")).toEqual({ key: "a", value: "" });
  expect(labelCondition("a=b=c")).toEqual({ key: "a", value: "b=c" });
  expect(labelCondition("=b")).toEqual({ key: "", value: "b" });
});

describe("names", () => {
  /** Whether a filter of these patterns selects the name. */
  function selects(name: string, ...patterns: string[]): boolean {
    const filter = listFilter(parseFilters(JSON.stringify({ name: patterns })));
    return filter.names?.some((matches) => matches(name)) ?? true;
  }

  test("are matched anywhere, or by Go's regular expressions", () => {
    expect(selects("wiki-data", "data")).toBe(true);
    expect(selects("wiki-data", "^data")).toBe(false);
    expect(selects("wiki-data", "^wiki-.*a$")).toBe(true);
    expect(selects("wiki-data", "WIKI")).toBe(false);
    expect(selects("wiki-data", "(?i)WIKI")).toBe(true);
    expect(selects("wiki-data", "x", "wiki")).toBe(true);
    expect(selects("wiki-data", "")).toBe(true);
    expect(selects("wiki.data", "wiki.data")).toBe(true);
    expect(selects("wikixdata", "wiki.data")).toBe(true);
    expect(selects("wiki-data", "[[:alpha:]]-\\w+")).toBe(true);
    expect(selects("wiki-data", "\\Qwiki-\\E")).toBe(true);
  });

  test("that are no pattern of Go match nothing but themselves", () => {
    for (const pattern of ["[", "(", "*", "a**", "(?=x)", "(a)\\1", "\\p{Nope}", "x{1001}"]) {
      expect([pattern, selects("wiki", pattern)]).toEqual([pattern, false]);
      expect([pattern, selects(pattern, pattern)]).toEqual([pattern, true]);
    }
  });

  test("longer than 1,024 characters are refused, unless they are plain text", () => {
    expect(selects("wiki", "a".repeat(5_000))).toBe(false);
    expect(refusal(() => selects("wiki", ".".repeat(1_025)))).toBe(
      "invalid filter 'name': at most 1024 characters are allowed",
    );
  });

  test("patterns that explode elsewhere cost a bounded number of steps", () => {
    const bombs = ["(a+)+$", "^(a|a)*$", "(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"];
    for (const bomb of bombs) {
      // With backtracking the first of these would not end before the sun does.
      expect(selects(`${"a".repeat(254)}!`, bomb, bomb, bomb)).toBe(false);
    }
    const nested = `${"(".repeat(300)}a${"?)".repeat(300)}`;
    expect(typeof selects("b", nested)).toBe("boolean");
    expect(typeof selects("b", "((a{1,30}){1,30}){1,2}")).toBe("boolean");
  });

  test("patterns that take long for many names are stopped", () => {
    let nowMs = 0;
    const filters = parseFilters(JSON.stringify({ name: ["wiki", "(?:a?){300}a{300}"] }));
    const [plain, slow] = listFilter(filters, () => nowMs).names ?? [];
    expect([plain?.("aaa"), slow?.("aaa")]).toEqual([false, false]);
    nowMs = 1_001;
    expect(plain?.("wiki")).toBe(true);
    expect(refusal(() => slow?.("aaa"))).toBe("invalid filter 'name': the pattern takes too long");
  });

  test("any pattern ends in an answer or a refusal", () => {
    const pieces = fc.array(fc.constantFrom(..."ab.*+?()[]{}|^$\\d0,1:-"), { maxLength: 40 });
    fc.assert(
      fc.property(pieces, (parts) => void refusal(() => selects("abababab", parts.join("")))),
      { numRuns: 500 },
    );
  });
});
