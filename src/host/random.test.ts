// Random bytes: as many as were asked for, and none of them twice.
import { expect, test } from "bun:test";
import { randomHex } from "./random.ts";

test("as many as are asked for, whatever was asked for before", () => {
  for (const bytes of [16, 0, 1, 2_047, 2_048, 2_049, 5_000, 3, 16]) {
    expect(randomHex(bytes)).toMatch(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
  }
});

test("no id comes twice, and no byte is missing from them", () => {
  const ids = new Set<string>();
  const bytes = new Set<string>();
  for (let count = 0; count < 10_000; count++) {
    const id = randomHex(16);
    ids.add(id);
    for (const byte of id.match(/../g) ?? []) bytes.add(byte);
  }
  expect(ids.size).toBe(10_000);
  expect(bytes.size).toBe(256);
});
