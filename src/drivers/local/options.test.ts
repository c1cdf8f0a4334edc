// The options of `local`: Docker's table and texts, and which of them make a mount.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { DriverOptions } from "../../core/driver.ts";
import { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import { checkLocalOptions, localMount } from "./options.ts";

/** The refusal's text, or undefined when the options are accepted. */
function refusal(options: DriverOptions): string | undefined {
  try {
    checkLocalOptions(options);
    return undefined;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("volume.option_invalid");
    expect(error.message).toContain(goQuote(String(error.details["option"])).slice(1, -1));
    return error.message;
  }
}

describe("Docker's table", () => {
  const accepted: readonly DriverOptions[] = [
    {},
    { type: "tmpfs", device: "tmpfs" },
    { type: "tmpfs", device: "tmpfs", o: "size=64m,uid=1000" },
    { type: "none", device: "/data", o: "bind" },
    { type: "nfs", device: ":/export", o: "addr=10.0.0.1,rw" },
    { type: "", device: "" },
    { type: "none", device: "", o: "" },
    { size: "0" },
    { size: "0b" },
    { size: "0.0", type: "tmpfs", device: "tmpfs" },
  ];
  for (const options of accepted) {
    test(`accepts ${JSON.stringify(options)}`, () => expect(refusal(options)).toBeUndefined());
  }

  const refused: readonly (readonly [DriverOptions, string])[] = [
    [{ foo: "1" }, 'invalid option: "foo"'],
    [{ Type: "tmpfs" }, 'invalid option: "Type"'],
    [{ "": "1" }, 'invalid option: ""'],
    [{ 'a"b\n': "1" }, 'invalid option: "a\\"b\\n"'],
    [{ toString: "1" }, 'invalid option: "toString"'],
    [{ type: "tmpfs" }, 'missing required option: "device"'],
    [{ device: "tmpfs" }, 'missing required option: "type"'],
    [{ o: "size=1m" }, 'missing required option: "device"'],
    [{ o: "size=1m", type: "tmpfs" }, 'missing required option: "device"'],
    [{ o: "size=1m", device: "tmpfs" }, 'missing required option: "type"'],
    [{ size: "zzz" }, "invalid size: 'zzz'"],
    [{ size: "" }, "invalid size: ''"],
    [{ size: "-1" }, "invalid size: '-1'"],
    [{ size: "1x" }, "invalid size: '1x'"],
    [{ size: "10m" }, "quota size requested but no quota support"],
    [{ size: "1" }, "quota size requested but no quota support"],
    [{ size: "1.5 GiB" }, "quota size requested but no quota support"],
    [{ size: "1Kb" }, "quota size requested but no quota support"],
    [{ type: "tmpfs", device: "a\0b" }, 'invalid option: "device": a NUL character is not allowed'],
    [
      { type: "tmpfs", device: "x", o: "o".repeat(16_385) },
      'invalid option: "o": at most 16384 characters are allowed',
    ],
  ];
  for (const [options, text] of refused) {
    test(`refuses ${JSON.stringify(options).slice(0, 60)}`, () =>
      expect(refusal(options)).toBe(text));
  }

  test("which of two missing options is named does not change", () => {
    const answers = new Set(Array.from({ length: 20 }, () => refusal({ o: "x" })));
    expect([...answers]).toEqual(['missing required option: "device"']);
  });

  test("an own property called __proto__ is an option like any other", () => {
    const options: DriverOptions = Object.fromEntries([["__proto__", "x"]]);
    expect(refusal(options)).toBe('invalid option: "__proto__"');
  });

  test("anything is accepted or refused with a code, quickly and without a change", () => {
    const some = fc.oneof(fc.string(), fc.constantFrom("type", "device", "o", "size", "10m", "0"));
    fc.assert(
      fc.property(fc.dictionary(some, some), (options) => {
        const before = JSON.stringify(options);
        refusal(options);
        expect(JSON.stringify(options)).toBe(before);
      }),
    );
  });
});

test("a device makes a mount, all else is a plain directory", () => {
  expect(localMount({})).toBeUndefined();
  expect(localMount({ size: "0" })).toBeUndefined();
  expect(localMount({ type: "tmpfs", device: "" })).toBeUndefined();
  expect(localMount({ type: "tmpfs", device: "tmpfs" })).toEqual({
    type: "tmpfs",
    device: "tmpfs",
    options: "",
  });
  expect(localMount({ type: "", device: "/data", o: "bind,ro" })).toEqual({
    type: "",
    device: "/data",
    options: "bind,ro",
  });
});
