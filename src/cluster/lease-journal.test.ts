// The journal of leases tells the next daemon what is held, wherever the last one was cut off.
import { afterAll, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { MemoryJournal } from "../../test/support/lease-files.ts";
import { silentLog } from "../core/operation.ts";
import {
  JOURNAL_SLACK_BYTES,
  type JournalFile,
  type JournalRecord,
  journalFile,
  LeaseJournal,
  latestHolders,
} from "./lease-journal.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-journal-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

function open(file: JournalFile, id = "boot-1") {
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (line: string) => void warnings.push(line) };
  const journal = new LeaseJournal({ file, boot: { id, nowMs: () => 0 }, log });
  return { journal, warnings, fences: [...journal.records.keys()] };
}

function record(fence: bigint, given: Partial<JournalRecord> = {}): JournalRecord {
  return {
    key: "lock:wiki/deploy",
    mode: "exclusive",
    fence,
    sinceMs: 1_780_000_000_000.5,
    ttlMs: 30_000,
    expiresAtMs: 123_456.789,
    keep: '{"label":"żółw\\n"}',
    ...given,
  };
}

describe("the next daemon", () => {
  test("knows what was granted and renewed, and not what has ended", () => {
    const directory = fs.mkdtempSync(path.join(folder, "run-"));
    const { journal } = open(journalFile(directory));
    journal.granted(record(1n));
    journal.ended(1n);
    journal.granted(record(2n));
    journal.granted(record(3n, { key: "lock:wiki/other", mode: "shared" }));
    journal.renewed(2n, { ttlMs: 60_000, expiresAtMs: 200_000 });
    const next = open(journalFile(directory));
    expect(next.warnings).toEqual([]);
    expect([...next.journal.records.values()]).toEqual([
      record(2n, { ttlMs: 60_000, expiresAtMs: 200_000 }),
      record(3n, { key: "lock:wiki/other", mode: "shared" }),
    ]);
    expect(fs.statSync(`${directory}/leases.journal`).mode & 0o777).toBe(0o600);
    next.journal.ended(2n);
    expect(open(journalFile(directory)).fences).toEqual([3n]);
  });

  test("knows nothing of another boot, or of a file without a beginning", () => {
    const file = new MemoryJournal();
    open(file).journal.granted(record(1n));
    expect(open(file, "boot-2").fences).toEqual([]);
    file.text = file.text?.split("\n").slice(1).join("\n");
    expect(open(file).fences).toEqual([]);
  });

  test("finds nothing left when nothing was held, and what was held otherwise", () => {
    const directory = fs.mkdtempSync(path.join(folder, "run-"));
    const { journal } = open(journalFile(directory));
    journal.close();
    journal.granted(record(1n));
    journal.close();
    expect(open(journalFile(directory)).fences).toEqual([1n]);
    journal.ended(1n);
    journal.close();
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test("knows all before the place where the file is cut, wherever that is", () => {
    const file = new MemoryJournal();
    const { journal } = open(file);
    for (const fence of [1n, 2n, 3n]) journal.granted(record(fence, { key: `lock:v/${fence}` }));
    const whole = file.text ?? "";
    const lines = whole.split("\n");
    for (let length = 0; length <= whole.length; length++) {
      const cut = new MemoryJournal();
      cut.text = whole.slice(0, length);
      const next = open(cut);
      // A line is whole without its end, too.
      const wholeCount = lines.filter(
        (_line, index) => lines.slice(0, index + 1).join("\n").length <= length,
      ).length;
      expect(next.fences).toEqual([1n, 2n, 3n].slice(0, Math.max(0, wholeCount - 1)));
      const isTorn = cut.text !== "" && !lines.includes(cut.text.split("\n").at(-1) ?? "");
      expect(next.warnings.length).toBe(isTorn ? 1 : 0);
      next.journal.granted(record(9n));
      expect(open(cut).fences).toEqual([...next.journal.records.keys()]);
    }
  });

  test("passes over what is damaged, wherever that is", () => {
    const file = new MemoryJournal();
    const { journal } = open(file);
    for (const fence of [1n, 2n, 3n]) journal.granted(record(fence, { key: `lock:v/${fence}` }));
    const whole = file.text ?? "";
    const first = whole.indexOf("\n") + 1;
    for (let at = first; at < whole.length; at++) {
      const damaged = new MemoryJournal();
      damaged.text = `${whole.slice(0, at)}7${whole.slice(at + 1)}`;
      const next = open(damaged);
      const isChanged = whole[at] !== "7";
      // Where it is the end of a line, two are one.
      expect(next.fences.length).toBeGreaterThanOrEqual(isChanged ? 1 : 3);
      if (isChanged && at < whole.length - 1) expect(next.warnings.length).toBe(1);
      for (const kept of next.journal.records.values()) {
        expect(kept).toEqual(record(kept.fence, { key: `lock:v/${kept.fence}` }));
      }
    }
  });
});

test("whoever got a key last has it, where ends are missing", () => {
  const kept = latestHolders([
    record(1n),
    record(2n, { mode: "shared" }),
    record(3n, { mode: "shared" }),
    record(5n, { key: "lock:wiki/b", mode: "shared" }),
    record(4n, { key: "lock:wiki/b", mode: "shared" }),
    record(6n, { key: "lock:wiki/b" }),
    record(7n, { key: "lock:wiki/c" }),
  ]);
  expect(kept.map(({ fence }) => fence)).toEqual([2n, 3n, 6n, 7n]);
});

test("the file does not grow for ever", () => {
  const directory = fs.mkdtempSync(path.join(folder, "run-"));
  const { journal } = open(journalFile(directory));
  journal.granted(record(1n, { key: "lock:wiki/kept" }));
  let largest = 0;
  for (let fence = 2n; fence < 10_000n; fence++) {
    journal.granted(record(fence));
    journal.ended(fence);
    if (fence % 100n === 0n) {
      largest = Math.max(largest, fs.statSync(`${directory}/leases.journal`).size);
    }
  }
  expect(largest).toBeGreaterThan(JOURNAL_SLACK_BYTES / 2);
  expect(largest).toBeLessThan(JOURNAL_SLACK_BYTES * 1.05);
  expect(open(journalFile(directory)).fences).toEqual([1n]);
  expect(fs.readdirSync(directory)).toEqual(["leases.journal"]);
});

test("with nothing held the file is small again", () => {
  const directory = fs.mkdtempSync(path.join(folder, "run-"));
  const { journal } = open(journalFile(directory));
  let largest = 0;
  let isSmall = false;
  for (let fence = 1n; fence < 5_000n; fence++) {
    journal.granted(record(fence));
    journal.ended(fence);
    const { size } = fs.statSync(`${directory}/leases.journal`);
    if (size < largest) isSmall ||= size < 100;
    largest = Math.max(largest, size);
  }
  expect(isSmall).toBe(true);
  expect(largest).toBeLessThan(JOURNAL_SLACK_BYTES / 2);
});

test("what was renewed is written anew with its last time", () => {
  const directory = fs.mkdtempSync(path.join(folder, "run-"));
  const { journal } = open(journalFile(directory));
  journal.granted(record(1n, { key: "lock:wiki/kept" }));
  let isAnew = false;
  for (let count = 1; !isAnew; count++) {
    const { size } = fs.statSync(`${directory}/leases.journal`);
    journal.renewed(1n, { ttlMs: 1_000 + count, expiresAtMs: count });
    isAnew = fs.statSync(`${directory}/leases.journal`).size < size;
    if (!isAnew) continue;
    const [left] = open(journalFile(directory)).journal.records.values();
    expect(left).toEqual(
      record(1n, {
        ...{ key: "lock:wiki/kept", ttlMs: 1_000 + count, expiresAtMs: count },
      }),
    );
  }
});

describe("what cannot be written", () => {
  test("is not granted and not renewed, and is made good by the next line", () => {
    const file = new MemoryJournal();
    const { journal, warnings } = open(file);
    journal.granted(record(1n));
    journal.granted(record(2n, { key: "lock:wiki/b" }));
    file.onWrite = (text, isAnew) => {
      if (!isAnew) file.text = (file.text ?? "") + text.slice(0, 20);
      throw new Error("full");
    };
    expect(() => journal.granted(record(3n, { key: "lock:wiki/c" }))).toThrow("full");
    expect(() => journal.renewed(2n, { ttlMs: 1, expiresAtMs: 1 })).toThrow("full");
    journal.ended(1n);
    expect(warnings).toEqual(["the end of a lease cannot be written down"]);
    expect([...journal.records.values()]).toEqual([record(2n, { key: "lock:wiki/b" })]);
    file.onWrite = (text) => text;
    journal.granted(record(4n, { key: "lock:wiki/d" }));
    const next = open(file);
    expect(next.warnings).toEqual([]);
    expect(next.fences).toEqual([2n, 4n]);
  });

  test("of a real file is an error with its reason", () => {
    const directory = path.join(folder, "taken");
    fs.writeFileSync(directory, "");
    const { journal } = open(journalFile(directory));
    expect(() => journal.granted(record(1n))).toThrow("EEXIST");
    fs.rmSync(directory);
    journal.granted(record(2n));
    expect(open(journalFile(directory)).fences).toEqual([2n]);
  });

  test("a run directory that somebody empties is made anew, with all that is held", () => {
    const directory = fs.mkdtempSync(path.join(folder, "run-"));
    const { journal } = open(journalFile(directory));
    const held: bigint[] = [];
    for (const [index, target] of [`${directory}/leases.journal`, directory].entries()) {
      const fence = BigInt(2 * index + 1);
      journal.granted(record(fence, { key: `lock:wiki/${fence}` }));
      fs.rmSync(target, { recursive: true });
      journal.granted(record(fence + 1n, { key: `lock:wiki/${fence + 1n}` }));
      held.push(fence, fence + 1n);
      expect(open(journalFile(directory)).fences).toEqual(held);
      expect(fs.statSync(directory).mode & 0o777).toBe(0o700);
    }
  });
});
