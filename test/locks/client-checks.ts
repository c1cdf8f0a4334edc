// What each client of docs/guide/locks.md must do, whatever language it is in.
import { expect } from "bun:test";
import type { HoldsBench } from "../support/holds-bench.ts";
import { type Client, ended, printed, startClient, TTL_SECONDS } from "./client-stage.ts";
import { allLocks, ask, sleeper, steal, untilLocks } from "./inside-bench.ts";

/** Makes the volume, and a container that tells clients to stop. */
export async function openClients(bench: HoldsBench): Promise<void> {
  await bench.createVolume("shared");
  await sleeper(bench, "observer", "-v", "shared:/data");
}

/** Keeps its lock beyond its time, also over a restart of the daemon; the next waits for it. */
export async function takesTurns(bench: HoldsBench, client: Client): Promise<void> {
  const [first, second] = [`${client.name}-1`, `${client.name}-2`];
  const container = await startClient(bench, client, first);
  const fence = await printed(bench, first, "fence");
  const [taken] = await allLocks(bench);
  expect(taken?.fence).toBe(fence);
  expect(taken?.holder.container).toBe(container);
  await startClient(bench, client, second);
  await untilLocks(bench, "one waits", ([lock]) => lock?.waiting === 1);
  // By then it would be over, had nobody renewed it.
  const overAt = Date.parse(taken?.expires ?? "") + 500;
  await untilLocks(bench, "it is over", () => Date.now() > overAt);
  expect((await allLocks(bench))[0]?.fence).toBe(fence);
  await bench.docker("exec", "observer", "touch", "/data/stop");
  await printed(bench, first, "done");
  expect(await ended(bench, first)).toBe(0);
  const next = await printed(bench, second, "fence");
  expect(BigInt(next)).toBeGreaterThan(BigInt(fence));
  expect(await ended(bench, second)).toBe(0);
  expect(await allLocks(bench)).toEqual([]);
  await bench.docker("rm", first, second);
  await bench.docker("exec", "observer", "rm", "/data/stop");
}

/** A restart of the daemon, shorter than the time to live, does not end its work. */
export async function outlivesDaemon(bench: HoldsBench, client: Client): Promise<void> {
  const name = `${client.name}-over`;
  await startClient(bench, client, name);
  const fence = await printed(bench, name, "fence");
  await bench.daemon.kill();
  await bench.startDaemon();
  const restartedAt = Date.now();
  const isRenewed = (expires: string) => Date.parse(expires) >= restartedAt + TTL_SECONDS * 1_000;
  const [lock] = await untilLocks(
    bench,
    "it is renewed",
    ([one]) => one !== undefined && isRenewed(one.expires),
  );
  expect(lock?.fence).toBe(fence);
  await bench.docker("exec", "observer", "touch", "/data/stop");
  expect(await ended(bench, name)).toBe(0);
  await bench.docker("rm", name);
  await bench.docker("exec", "observer", "rm", "/data/stop");
}

/** Its lock is taken away: the work hears of it. */
export async function hearsOfLoss(bench: HoldsBench, client: Client): Promise<void> {
  const name = `${client.name}-lost`;
  await startClient(bench, client, name);
  await printed(bench, name, "fence");
  const [lock] = await allLocks(bench);
  if (lock === undefined) throw new Error("nothing is locked");
  await steal(bench, lock);
  await printed(bench, name, "lost");
  const code = await ended(bench, name);
  if (client.name === "curl") expect(code).toBe(79);
  expect(await allLocks(bench)).toEqual([]);
  await bench.docker("rm", name);
}

/** A daemon that hangs answers nothing and refuses nothing: the work ends before its time does. */
export async function givesUpInTime(bench: HoldsBench, client: Client): Promise<void> {
  const name = `${client.name}-hung`;
  await startClient(bench, client, name);
  await printed(bench, name, "fence");
  const { pid } = bench.daemon;
  const startedMs = performance.now();
  process.kill(pid, "SIGSTOP");
  try {
    await printed(bench, name, "lost");
    const tookMs = performance.now() - startedMs;
    console.log(`${client.name}: lost ${Math.round(tookMs)} ms after the daemon hung`);
    // The last renewal was before it hung.
    expect(tookMs).toBeLessThan(TTL_SECONDS * 1_000);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await ended(bench, name);
  await untilLocks(bench, "it is free", (locks) => locks.length === 0);
  await bench.docker("rm", name);
}

/** It is killed: its lock is free at once, where it hangs on the process; else when it expires. */
export async function diesWithoutTrace(bench: HoldsBench, client: Client): Promise<void> {
  const name = `${client.name}-killed`;
  await startClient(bench, client, name);
  await printed(bench, name, "fence");
  await bench.docker("kill", name);
  const startedMs = performance.now();
  await untilLocks(bench, "it is free", (locks) => locks.length === 0);
  const tookMs = performance.now() - startedMs;
  console.log(`${client.name}: free ${Math.round(tookMs)} ms after its container was killed`);
  if (client.name !== "curl") expect(tookMs).toBeLessThan((TTL_SECONDS / 3) * 1_000);
  expect(
    (await ask(bench, "observer", "POST", "volumes/shared/locks/job", { ttl: 1 })).status,
  ).toBe(200);
  await untilLocks(bench, "it is free again", (locks) => locks.length === 0);
  await bench.docker("rm", name);
}
