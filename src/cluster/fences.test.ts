// Fences are never given twice, whatever of file and clock is lost, and cost no disk when given.
import { afterAll, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { MemoryFenceFile } from "../../test/support/lease-files.ts";
import { FENCE_BLOCK, fenceFile, memoryFences, openFences } from "./fences.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "holdfast-fences-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const startMs = 1_780_000_000_000;
const startFence = 1_780_000_000_000_000n;

function logged() {
  const lines: string[] = [];
  return {
    lines,
    warn: (line: string) => void lines.push(line),
    error: (line: string) => void lines.push(line),
  };
}

async function open(file = fenceFile(`${folder}/leases`), nowMs = startMs) {
  const log = logged();
  const fences = await openFences({ file, nowMs: () => nowMs, log });
  return { fences, log };
}

describe("a life begins", () => {
  test("at the microseconds of the clock, and counts on", async () => {
    const { fences, log } = await open(fenceFile(`${folder}/new/leases`));
    expect([fences.next(), fences.next()]).toEqual([startFence, startFence + 1n]);
    expect(log.lines).toEqual([]);
    expect(fs.readdirSync(`${folder}/new/leases`)).toEqual(["fence"]);
    expect(fs.statSync(`${folder}/new/leases/fence`).mode & 0o777).toBe(0o600);
  });

  test("above what is written down, when the clock was set back", async () => {
    const file = fenceFile(`${folder}/back`);
    const { fences } = await open(file);
    const last = fences.next();
    const later = await open(file, startMs - 86_400_000);
    const first = later.fences.next();
    expect(first).toBeGreaterThan(last);
    // Not further ahead of the clock than a start takes.
    expect(first - last).toBeLessThanOrEqual(FENCE_BLOCK + 1n);
    const third = await open(file, 0);
    expect(third.fences.next()).toBeGreaterThan(first);
  });

  test.each([
    ["is empty", ""],
    ["is cut", "17800000000"],
    ["has lost its sum", "1780000000050000\n"],
    ["has another number", "2780000000050000\n5e1fd1f4\n"],
    ["is nothing of the kind", "\0".repeat(4_096)],
  ])("with the clock, and says so, where the file %s", async (_what, text) => {
    const file = new MemoryFenceFile();
    file.text = text;
    const { fences, log } = await open(file);
    expect(fences.next()).toBe(startFence);
    expect(log.lines).toEqual(["the file of fences is damaged: the clock makes it good"]);
    expect(file.text).not.toBe(text);
  });

  test("with the clock where the file cannot be read", async () => {
    fs.mkdirSync(`${folder}/odd/fence`, { recursive: true });
    const { fences, log } = await open(fenceFile(`${folder}/odd`));
    expect(fences.next()).toBe(startFence);
    expect(log.lines).toEqual([
      "the file of fences cannot be read: the clock makes it good",
      "fences cannot be written down: the clock alone vouches for them",
    ]);
  });

  test("although a dead one left half a file beside", async () => {
    fs.mkdirSync(`${folder}/half`);
    fs.writeFileSync(`${folder}/half/fence.new`, "178");
    const { log } = await open(fenceFile(`${folder}/half`));
    expect(log.lines).toEqual([]);
    expect(fs.readdirSync(`${folder}/half`)).toEqual(["fence"]);
  });
});

test("what is given is always written down before, in few writes", async () => {
  const file = new MemoryFenceFile();
  let putCount = 0;
  file.beforePut = async () => {
    putCount += 1;
  };
  const { fences } = await open(file);
  for (let count = 0; count < 200_000; count++) {
    const fence = fences.next();
    if (count % 1_000 > 0) continue;
    expect(BigInt(file.text?.split("\n")[0] ?? 0)).toBeGreaterThanOrEqual(fence);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(putCount).toBeGreaterThan(5);
  expect(putCount).toBeLessThan(12);
});

test("a disk that fails is asked again a second later, and said once", async () => {
  const file = new MemoryFenceFile();
  let putCount = 0;
  let isFull = true;
  file.beforePut = async () => {
    putCount += 1;
    if (isFull) throw new Error("full");
  };
  let nowMs = startMs;
  const log = logged();
  const fences = await openFences({ file, nowMs: () => nowMs, log });
  const next = async () => {
    const fence = fences.next();
    await new Promise((resolve) => setImmediate(resolve));
    return fence;
  };
  for (let count = 0; count < 5; count++) await next();
  expect(putCount).toBe(1);
  nowMs += 1_001;
  await next();
  await next();
  expect(putCount).toBe(2);
  isFull = false;
  nowMs += 1_001;
  const last = await next();
  expect(putCount).toBe(3);
  expect(BigInt(file.text?.split("\n")[0] ?? 0)).toBeGreaterThan(last);
  expect(log.lines).toEqual(["fences cannot be written down: the clock alone vouches for them"]);
});

test("what was found elsewhere is passed over", async () => {
  const { fences } = await open(new MemoryFenceFile());
  fences.passOver(startFence + 10n * FENCE_BLOCK);
  expect(fences.next()).toBe(startFence + 10n * FENCE_BLOCK + 1n);
  fences.passOver(5n);
  expect(fences.next()).toBe(startFence + 10n * FENCE_BLOCK + 2n);
  const inMemory = memoryFences();
  inMemory.passOver(7n);
  expect([inMemory.next(), inMemory.next()]).toEqual([8n, 9n]);
});
