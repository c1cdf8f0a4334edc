// Many connections that ask for long lists and read nothing: memory stays near its bound.
import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { Client } from "../crash/client.ts";
import { eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { connectRaw, type RawClient } from "../support/raw-http-client.ts";

const MIB = 1024 * 1024;
const volumeCount = 2_000;
/** The list is as long as one of 5,000 with a short label. */
const label = "x".repeat(320);
const connectionCount = 300;
const request = "GET /volumes HTTP/1.1\r\nHost: d\r\n\r\n".repeat(20);
/**
 * The 64 MiB of answers, as much again that waits for its collection, and room to allocate: 105 to
 * 142 MiB were measured, 279 without collections.
 */
const growthBytesMax = 200 * MIB;
/** Once they are gone, with pages that the allocator keeps. */
const restBytesMax = 40 * MIB;
const roundCount = 2;
/** The worst comes when the stalled are cut off, two sweeps after they came. */
const watchMs = 6_000;

test(`${connectionCount} readers that do not read cost little, then nothing`, async () => {
  const root = temporaryDirectory();
  try {
    await using daemon = await startDaemon({ root });
    await makeVolumes(daemon);
    const before = residentBytes(daemon);
    for (let round = 0; round < roundCount; round++) {
      const readers = await Promise.all(
        Array.from({ length: connectionCount }, () => stalledReader(daemon)),
      );
      const peak = await highestFor(watchMs, daemon);
      console.log(`stalled readers: ${inMebibytes(before)} to ${inMebibytes(peak)} MiB`);
      expect(peak - before).toBeLessThan(growthBytesMax);
      for (const { socket } of readers) socket.destroy();
      await eventually(
        async () => (residentBytes(daemon) - before < restBytesMax ? true : undefined),
        { timeoutMs: 10_000, otherwise: () => `${inMebibytes(residentBytes(daemon))} MiB remain` },
      );
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, 120_000);

async function makeVolumes({ socketPath }: RunningDaemon): Promise<void> {
  const client = new Client(socketPath);
  for (let index = 0; index < volumeCount; index++) {
    const body = { Name: `volume-${index}`, Labels: { label } };
    await client.expect(201, "POST", "/volumes/create", body);
  }
}

async function stalledReader({ socketPath }: RunningDaemon): Promise<RawClient> {
  const client = await connectRaw(socketPath);
  client.socket.pause();
  client.send(request);
  return client;
}

/** The most memory that the daemon was seen to have, looked at as often as `eventually` does. */
async function highestFor(milliseconds: number, daemon: RunningDaemon): Promise<number> {
  const startedMs = performance.now();
  let highest = 0;
  await eventually(
    async () => {
      highest = Math.max(highest, residentBytes(daemon));
      return performance.now() - startedMs > milliseconds ? true : undefined;
    },
    { timeoutMs: milliseconds * 2, otherwise: () => "the clock stands still" },
  );
  return highest;
}

function residentBytes({ pid }: RunningDaemon): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

function inMebibytes(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}
