// What a removal becomes, case by case, and how people write times.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { retiredRow } from "../../../test/support/recovery-bench.ts";
import { volumeRow } from "../../../test/support/trash-bench.ts";
import { ANONYMOUS_LABEL } from "../volume-filter.ts";
import { fateOf, isPurgedAtOnce, type TrashDefaults, trashDefaults } from "./policy.ts";
import { parseRetention } from "./retention.ts";

const NOW_MS = 1_000_000;
const DAY_MS = 86_400_000;

const on = trashDefaults;
const off: TrashDefaults = { ...trashDefaults, isOn: false };
const anonymousOff: TrashDefaults = { ...trashDefaults, anonymous: "off" };

const named = volumeRow("pgdata");
const anonymous = volumeRow("a".repeat(64), { labels: { [ANONYMOUS_LABEL]: "" } });
const nfs = volumeRow("nfs", { options: { type: "nfs", device: ":/x", o: "addr=1.2.3.4" } });
const found = volumeRow("found", { origin: "adopted" });

function withOptions(options: Record<string, string>, of = named) {
  return { ...of, options: { ...of.options, ...options } };
}

const purgedAtOnce = { phase: "purging", purgeAtMs: NOW_MS } as const;
const keptForEver = { phase: "kept", purgeAtMs: null } as const;

function keptFor(days: number) {
  return { phase: "kept", purgeAtMs: NOW_MS + days * DAY_MS } as const;
}

const table = [
  ["named", named, on, keptFor(7)],
  ["anonymous", anonymous, on, keptFor(1)],
  [
    "anonymous, as a container engine makes it",
    volumeRow("0123456789abcdef".repeat(4)),
    on,
    keptFor(1),
  ],
  ["anonymous, which the daemon does not keep", anonymous, anonymousOff, purgedAtOnce],
  ["a time of its own", withOptions({ trash: "30d" }), on, keptFor(30)],
  ["a time of its own, anonymous", withOptions({ trash: "12h" }, anonymous), on, keptFor(0.5)],
  ["off itself", withOptions({ trash: "off" }), on, purgedAtOnce],
  ["reclaim=delete", withOptions({ reclaim: "delete" }), on, purgedAtOnce],
  ["reclaim=trash", withOptions({ reclaim: "trash" }), on, keptFor(7)],
  ["reclaim=retain", withOptions({ reclaim: "retain" }), on, keptForEver],
  ["the daemon's off", named, off, purgedAtOnce],
  ["the daemon's off, anonymous", anonymous, off, purgedAtOnce],
  ["a time of its own is stronger", withOptions({ trash: "2d" }), off, keptFor(2)],
  ["reclaim=trash is stronger", withOptions({ reclaim: "trash" }), off, keptFor(7)],
  ["reclaim=retain is stronger", withOptions({ reclaim: "retain" }), off, keptForEver],
  ["another's storage", nfs, on, keptForEver],
  ["another's storage, the daemon's off", nfs, off, purgedAtOnce],
  ["another's storage, a time of its own", withOptions({ trash: "1d" }, nfs), on, keptFor(1)],
  // Refused at create; a row may come to it all the same.
  ["another's storage, reclaim=delete", withOptions({ reclaim: "delete" }, nfs), on, keptForEver],
  ["found, not made", found, on, keptForEver],
  ["options of the engine alone", withOptions({ sharing: "none" }), on, keptFor(7)],
  ["a time that nobody can read", withOptions({ trash: "soon" }), on, keptFor(7)],
] as const;

for (const [what, entry, defaults, fate] of table) {
  test(`${what}: ${fate.phase}, ${fate.purgeAtMs}`, () => {
    expect(fateOf(entry, defaults, NOW_MS)).toEqual(fate);
  });
}

test("what is purged at once is told from what was kept and given up", () => {
  const retiredAtMs = NOW_MS;
  const atOnce = retiredRow(named, { retiredAtMs, ...fateOf(named, off, NOW_MS) });
  expect(isPurgedAtOnce(atOnce)).toBe(true);
  const kept = retiredRow(named, { retiredAtMs, ...fateOf(named, on, NOW_MS) });
  expect(isPurgedAtOnce(kept)).toBe(false);
  expect(isPurgedAtOnce({ ...kept, phase: "purging" })).toBe(false);
  expect(isPurgedAtOnce({ ...kept, phase: "purging", purgeAtMs: null })).toBe(false);
});

describe("a time in the trash", () => {
  test("in days, hours and minutes", () => {
    const units = { d: DAY_MS, h: 3_600_000, m: 60_000 } as const;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 36_500 }),
        fc.constantFrom("d", "h", "m"),
        (count, unit) => {
          expect(parseRetention(`${count}${unit}`)).toBe(count * units[unit]);
        },
      ),
    );
    expect(parseRetention("off")).toBe("off");
  });

  test("and nothing else", () => {
    const bad = ["", "0d", "30", "d", "1.5d", "-1d", "1w", "1D", " 1d", "1d\n", "36501d", "OFF"];
    for (const text of [...bad, "999999999m", "none", "1d12h"]) {
      expect([text, parseRetention(text)]).toEqual([text, undefined]);
    }
  });
});
