// Versions of the API: compared by numbers, recognised only where they look like one.
import { expect, test } from "bun:test";
import { atLeast, splitVersion } from "./version.ts";

test("a path without a version means the newest", () => {
  expect(splitVersion("/volumes")).toEqual({ kind: "path", version: [1, 51], path: "/volumes" });
});

test("a prefix is taken off", () => {
  expect(splitVersion("/v1.43/volumes/v1.24")).toEqual({
    kind: "path",
    version: [1, 43],
    path: "/volumes/v1.24",
  });
  expect(splitVersion("/v1.24/")).toEqual({ kind: "path", version: [1, 24], path: "/" });
});

test("what does not look like a version belongs to the path", () => {
  for (const path of ["/vfoo/volumes", "/v/volumes", "/v1.43", "/volumes", "/V1.43/x", "/"]) {
    expect(splitVersion(path)).toEqual({ kind: "path", version: [1, 51], path });
  }
});

test("too old and too new are told by numbers, not by text", () => {
  const kind = (version: string) => splitVersion(`/v${version}/volumes`).kind;
  expect([kind("1.24"), kind("1.51"), kind("1.9"), kind("1.23")]).toEqual([
    "path",
    "path",
    "too_old",
    "too_old",
  ]);
  expect([kind("1.52"), kind("1.100"), kind("2"), kind("2.0"), kind("10.1")]).toEqual(
    Array.from({ length: 5 }, () => "too_new"),
  );
  expect([kind("0.99"), kind("1"), kind("1.x"), kind("1.-1")]).toEqual(
    Array.from({ length: 4 }, () => "too_old"),
  );
  expect(splitVersion("/v1.99/volumes")).toEqual({ kind: "too_new", text: "1.99" });
  expect(kind(`1.${"9".repeat(400)}`)).toBe("too_new");
});

test("atLeast compares part by part", () => {
  expect(atLeast([1, 42], [1, 42])).toBe(true);
  expect(atLeast([1, 100], [1, 42])).toBe(true);
  expect(atLeast([2, 0], [1, 42])).toBe(true);
  expect(atLeast([1, 9], [1, 42])).toBe(false);
  expect(atLeast([0, 99], [1, 0])).toBe(false);
});
