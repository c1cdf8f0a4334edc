// What the tests of crashes do again and again: look at a volume from all sides.
import { expect } from "bun:test";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, signalAll } from "../support/child.ts";
import type { DockerdOptions } from "../support/dockerd.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];

/** Declares a test that gets a dockerd and a Holdfast of its own. */
type OwnEngineTest = (
  name: string,
  run: (bench: HoldsBench) => Promise<void>,
  dockerd?: Partial<DockerdOptions>,
) => void;

/** For tests that end or restart a daemon; each may take `testMs`. */
export function withOwnEngine(testMs: number): OwnEngineTest {
  return (name, run, dockerd = {}) => {
    const runOnBench = async (): Promise<void> => {
      await using bench = new HoldsBench({ dockerd });
      await bench.start();
      await run(bench);
    };
    whenPossible(requirements, name, runOnBench, testMs);
  };
}

/** What has to end ends by itself, at the latest at the second seldom look. */
const endsWithinMs = 40_000;

/** The process that a container's first program is. */
export async function containerPid(bench: HoldsBench, container: string): Promise<number> {
  return Number(await bench.docker("inspect", "--format={{.State.Pid}}", container));
}

/** Kills what is in a container from outside, and waits until it is gone. */
export async function killProcess(pid: number): Promise<void> {
  signalAll([pid], "SIGKILL");
  await eventually(() => (existsSync(`/proc/${pid}`) ? undefined : true), {
    timeoutMs: endsWithinMs,
    otherwise: () => `process ${pid} does not end`,
  });
}

/** Throws unless what a container writes now lands in the volume's own directory. */
export async function writesLand(
  bench: HoldsBench,
  container: string,
  volume: string,
  target = "/data",
): Promise<void> {
  const text = randomUUID();
  await bench.docker("exec", container, "sh", "-c", `echo ${text} > ${target}/landed`);
  expect(contentOf(bench, volume, "landed")).toBe(`${text}\n`);
}

/** The same by a process's own root, for when there is no engine to execute anything. */
export function isSameInside(
  bench: HoldsBench,
  { pid, volume, file }: { readonly pid: number; readonly volume: string; readonly file: string },
): void {
  const inside = readFileSync(`/proc/${pid}/root/data/${file}`, "utf8");
  expect(inside).not.toBe("");
  expect(contentOf(bench, volume, file).startsWith(inside)).toBe(true);
}

export function contentOf(bench: HoldsBench, volume: string, file: string): string {
  return readFileSync(join(bench.root, "volumes", volume, "_data", file), "utf8");
}

/** Both engines refuse to remove the volume, and say why. */
export async function isInUse(bench: HoldsBench, volume: string): Promise<void> {
  expect(await bench.refused("volume", "rm", volume)).toContain("in use");
  const own = await bench.holdfast("volume", "rm", volume);
  expect(own.exit).toBe(1);
  expect(own.stderr).toContain("in use");
}

/**
 * Waits until so many holds are mounted: the end of one comes a moment after its Unmount. One that
 * ends too early does not come back by waiting.
 */
export async function holdsAre(bench: HoldsBench, count: number): Promise<void> {
  await eventually(() => (bench.holdMounts().length === count ? true : undefined), {
    timeoutMs: 5_000,
    otherwise: () => `${bench.holdMounts().length} holds are mounted, not ${count}`,
  });
}

/** Nobody is said to have the volumes, no hold is mounted, and Docker removes them. */
export async function areFree(bench: HoldsBench, ...volumes: readonly string[]): Promise<void> {
  for (const volume of volumes) await untilFree(bench, volume);
  expect(bench.holdMounts()).toEqual([]);
  await bench.docker("volume", "rm", ...volumes);
}

async function untilFree(bench: HoldsBench, volume: string): Promise<void> {
  let seen = "";
  await eventually(
    async () => {
      const { holders, state } = await bench.volume(volume);
      seen = JSON.stringify({ state, holders });
      return holders.length === 0 ? true : undefined;
    },
    {
      timeoutMs: endsWithinMs,
      otherwise: () => `${volume} is not free: ${seen}\n${bench.daemon.output()}`,
    },
  );
}

/** Starts a container that appends a line every tenth of a second, until its first failure. */
export async function runWriter(bench: HoldsBench, name: string, volume: string): Promise<void> {
  const script = "while echo line >> /data/lines; do sleep 0.1; done; echo failed";
  const mount = ["-v", `${volume}:/data`, "--volume-driver", "holdfast", "--stop-signal", "KILL"];
  await bench.docker(
    "run",
    "-d",
    "--name",
    name,
    "--network",
    "none",
    ...mount,
    ...[testImage, "sh", "-c", script],
  );
}

/** Waits until a writer's file has grown, so that it is known to go on without an error. */
export async function goesOn(bench: HoldsBench, volume: string): Promise<void> {
  const before = contentLength(bench, volume);
  await eventually(() => (contentLength(bench, volume) > before + 5 ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => `nothing more is written to ${volume}`,
  });
}

function contentLength(bench: HoldsBench, volume: string): number {
  try {
    return contentOf(bench, volume, "lines").length;
  } catch {
    return 0;
  }
}

/** A request to Holdfast's own API, below `/holdfast/v1/`. */
export async function ownApi(bench: HoldsBench, method: string, path: string): Promise<Response> {
  const url = `http://holdfast/holdfast/v1/${path}`;
  return await fetch(url, { method, unix: bench.daemon.socketPath });
}

/** The engines that Holdfast knows. */
export async function engineKeys(bench: HoldsBench): Promise<readonly string[]> {
  const answer = await ownApi(bench, "GET", "engines");
  // The contract of src/api/holdfast/contract.ts.
  const { engines } = (await answer.json()) as { readonly engines: readonly { key: string }[] };
  return engines.map(({ key }) => key);
}
