// A thousand clients that wait for one lock: first come first served, no storm, flat memory.
import { expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { connectRaw, type RawClient } from "../support/raw-http-client.ts";

const waiterCount = 1_000;
const roundCount = 12;
/** What one waiter may cost the daemon while it waits: its connection, its request, its place. */
const waiterBytesMax = 48 * 1024;
/** What may stay of all rounds, once the daemon has been idle for long enough to give back. */
const leftBytesMax = 32 * 1024 * 1024;
/** It takes 2 to 4 s, and the collection itself. */
const idleTimeoutMs = 30_000;
/** How many events one client may hear of from its queueing to its turn. */
const eventsPerWaiterMax = 25;
/** Processor time of the daemon: while nothing changes, and for passing the lock on once. */
const restMs = 500;
const restProcessorMsMax = 100;
const turnProcessorMsMax = 8;
/** How the kernel counts processor time. */
const tickMs = 10;
const timeoutMs = 120_000;

const lockPath = "/holdfast/v1/volumes/shared/locks/one";
const body = JSON.stringify({ ttl: 600, wait: 600 });

async function createVolume(unix: string): Promise<void> {
  const answer = await fetch("http://holdfast/volumes/create", {
    ...{ method: "POST", unix, headers: { "Content-Type": "application/json" } },
    body: JSON.stringify({ Name: "shared" }),
  });
  expect(answer.status).toBe(201);
}

async function waiter(socketPath: string): Promise<RawClient> {
  const client = await connectRaw(socketPath);
  client.send(
    `POST ${lockPath}/hold HTTP/1.1\r\nHost: holdfast\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  );
  return client;
}

function eventCount({ received }: RawClient): number {
  return received.split("event:").length - 1;
}

/** Nobody is asked twice: one after the other they queue, and hear their place. */
async function queueUp(daemon: RunningDaemon): Promise<readonly RawClient[]> {
  const clients: RawClient[] = [];
  for (let place = 0; place <= waiterCount; place++) {
    const client = await waiter(daemon.socketPath);
    clients.push(client);
    const word = place === 0 ? "event: granted" : `"place":${place}`;
    await client.until((text) => text.includes(word));
  }
  return clients;
}

/** Each ends its connection as soon as it has the lock. Resolves with the order of the grants. */
async function passThrough(clients: readonly RawClient[]): Promise<readonly number[]> {
  const order: number[] = [];
  await Promise.all(
    clients.map(async (client, place) => {
      await client.until((text) => text.includes("event: granted"));
      order.push(place);
      client.socket.destroy();
    }),
  );
  return order;
}

function residentBytes({ pid }: RunningDaemon): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

function processorMs({ pid }: RunningDaemon): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

interface Round {
  readonly order: readonly number[];
  readonly restProcessorMs: number;
  readonly turnProcessorMs: number;
  readonly events: number;
  readonly waitingBytes: number;
  readonly bytes: number;
}

async function round(daemon: RunningDaemon): Promise<Round> {
  const before = residentBytes(daemon);
  const clients = await queueUp(daemon);
  const waitingBytes = (residentBytes(daemon) - before) / waiterCount;
  const restedFrom = processorMs(daemon);
  await delay(restMs);
  const restProcessorMs = processorMs(daemon) - restedFrom;
  const turnedFrom = processorMs(daemon);
  const order = await passThrough(clients);
  const turnProcessorMs = (processorMs(daemon) - turnedFrom) / waiterCount;
  const events = Math.max(...clients.map(eventCount));
  const figures = { restProcessorMs, turnProcessorMs, events, waitingBytes };
  return { order, ...figures, bytes: residentBytes(daemon) };
}

/**
 * Between collections memory goes up and down as it pleases the collector, and the more, the less
 * the machine lets it run. What counts is what stays when the daemon has nothing to do any more.
 */
async function untilGivenBack(daemon: RunningDaemon, freshBytes: number): Promise<number> {
  const leftBytes = () => residentBytes(daemon) - freshBytes;
  return eventually(() => (leftBytes() <= leftBytesMax ? leftBytes() : undefined), {
    timeoutMs: idleTimeoutMs,
    otherwise: () => `${leftBytes()} bytes are left of the crowd`,
  });
}

test(
  `${waiterCount} who wait for one lock get it in their order, and cost next to nothing`,
  async () => {
    const folder = temporaryDirectory();
    try {
      await using daemon = await startDaemon({ root: join(folder, "root") });
      await createVolume(daemon.socketPath);
      const freshBytes = residentBytes(daemon);
      const rounds: Round[] = [];
      for (let left = roundCount; left > 0; left--) rounds.push(await round(daemon));
      const figures = rounds.map(({ order, ...rest }) => rest);
      console.log(`waiters, from ${freshBytes} bytes: ${JSON.stringify(figures)}`);
      const inOrder = Array.from({ length: waiterCount + 1 }, (_, place) => place);
      for (const { order } of rounds) expect(order).toEqual(inOrder);
      for (const one of figures) {
        expect(one.events).toBeLessThanOrEqual(eventsPerWaiterMax);
        expect(one.restProcessorMs).toBeLessThanOrEqual(restProcessorMsMax);
        expect(one.turnProcessorMs).toBeLessThanOrEqual(turnProcessorMsMax);
        expect(one.waitingBytes).toBeLessThanOrEqual(waiterBytesMax);
      }
      console.log(`waiters: ${await untilGivenBack(daemon, freshBytes)} bytes stayed`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  timeoutMs,
);
