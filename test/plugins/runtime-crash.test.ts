// Whatever step a daemon dies at while it starts or stops a plugin: the next one puts it right.
import { afterAll, describe, expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import type { Host } from "../../src/core/host.ts";
import { linuxHost } from "../../src/host/linux.ts";
import type { RunRequest } from "../../src/plugins/runtime/run-request.ts";
import type { PluginRuntime } from "../../src/plugins/runtime/runtime.ts";
import { Mortal } from "../crash/mortal.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { callPlugin } from "../support/plugin-rootfs.ts";
import {
  makePluginRuntimeBench,
  type PluginRuntimeBench,
  tracesOf,
} from "../support/plugin-runtime-bench.ts";

const needed = ["root", "plugin-runtime"] as const;
const operation = testOperation();
const stepCountMax = 60;

const mortal = new Mortal();
afterAll(() => mortal[Symbol.dispose]());

/** A machine on which a daemon that died does nothing; a program that it had begun goes on. */
function mortalHost(): Host {
  const real = linuxHost();
  const host = mortal.host(real, (program, words) => {
    real.run(program, words, operation).catch(() => undefined);
  });
  return { ...host, mounts: () => (mortal.isDead ? [] : real.mounts()) };
}

/** Dies after n steps of `work`, for each n; true: there were no more steps. */
async function diesAfter(
  stepCount: number,
  runtime: PluginRuntime,
  work: () => Promise<void>,
): Promise<boolean> {
  mortal.dieAfter(stepCount);
  await work().catch(() => undefined);
  const hasDied = mortal.isDead;
  const { length } = mortal.steps;
  // A daemon that is dead looks after nothing; what it had begun is over before the next begins.
  const everything = new Set(["a".repeat(64)]);
  await runtime.stopAll(everything, operation).catch(() => undefined);
  mortal.dieAfter(undefined);
  if (hasDied) expect(length).toBe(stepCount + 1);
  return !hasDied;
}

async function isWell(bench: PluginRuntimeBench, runtime: PluginRuntime, request: RunRequest) {
  const { id } = request;
  await bench.until(() => runtime.state(id).state === "running", "it runs");
  const { socketPath } = runtime.state(id);
  const answer = await callPlugin(socketPath, "VolumeDriver.Get", { Name: "kept" });
  expect(answer["Err"]).toBe("");
  await runtime.stop(id, operation);
  expect(tracesOf(bench, id)).toEqual([]);
}

/** A plugin with a volume `kept`, stopped. */
async function withVolume(bench: PluginRuntimeBench): Promise<RunRequest> {
  const request = await bench.plugin();
  await bench.runtime.start(request, operation);
  const { socketPath } = bench.runtime.state(request.id);
  await callPlugin(socketPath, "VolumeDriver.Create", { Name: "kept" });
  await bench.runtime.stop(request.id, operation);
  mortal.watch(bench.folder);
  return request;
}

describe("a daemon that dies", () => {
  whenPossible(needed, "at any step of a start: the next one runs the plugin", async () => {
    await using bench = makePluginRuntimeBench();
    const request = await withVolume(bench);
    let isOver = false;
    for (let step = 0; step < stepCountMax && !isOver; step++) {
      const dying = bench.another(mortalHost());
      isOver = await diesAfter(step, dying, () => dying.start(request, operation));
      const next = bench.another();
      await next.adopt([request], operation);
      await isWell(bench, next, request);
      await next.stopAll(new Set(), operation);
    }
    expect(isOver).toBe(true);
  });

  whenPossible(needed, "at any step of a start: the next one ends what is not wanted", async () => {
    await using bench = makePluginRuntimeBench();
    const request = await withVolume(bench);
    let isOver = false;
    for (let step = 0; step < stepCountMax && !isOver; step++) {
      const dying = bench.another(mortalHost());
      isOver = await diesAfter(step, dying, () => dying.start(request, operation));
      const next = bench.another();
      await next.adopt([], operation);
      expect({ step, traces: tracesOf(bench, request.id) }).toEqual({ step, traces: [] });
      await next.stopAll(new Set(), operation);
    }
    expect(isOver).toBe(true);
    expect(readdirSync(request.propagated ?? "")).toContain("kept");
  });

  whenPossible(needed, "at any step of a stop: the next one does as it is told", async () => {
    await using bench = makePluginRuntimeBench();
    const request = await withVolume(bench);
    let isOver = false;
    for (let step = 0; step < stepCountMax && !isOver; step++) {
      const dying = bench.another(mortalHost());
      await dying.start(request, operation);
      const { socketPath } = dying.state(request.id);
      await callPlugin(socketPath, "VolumeDriver.Mount", { Name: "kept", ID: "x" });
      isOver = await diesAfter(step, dying, () => dying.stop(request.id, operation));
      const next = bench.another();
      // Its record says by then that it is disabled, or says not yet.
      await next.adopt(step % 2 === 0 ? [] : [request], operation);
      if (step % 2 === 1) await isWell(bench, next, request);
      expect({ step, traces: tracesOf(bench, request.id) }).toEqual({ step, traces: [] });
      await next.stopAll(new Set(), operation);
    }
    expect(isOver).toBe(true);
  });
});

describe("a start", () => {
  whenPossible(needed, "that was left alone in the middle does not go on behind us", async () => {
    const real = linuxHost();
    await using bench = makePluginRuntimeBench();
    const request = await bench.plugin();
    const stopped = Promise.withResolvers<void>();
    const run: Host["run"] = async (name, words, op) => {
      const result = await real.run(name, words, op);
      if (name !== "conmon") return result;
      await bench.until(() => programsOf("runc", bench).length > 0, "runc");
      for (const pid of programsOf("runc", bench)) process.kill(pid, "SIGSTOP");
      stopped.resolve();
      // The daemon that started it is gone, and never gets an answer.
      return await new Promise(() => undefined);
    };
    const dying = bench.another({ ...real, run });
    void dying.start(request, operation);
    await stopped.promise;
    const next = bench.another();
    await next.adopt([], operation);
    expect(programsOf("runc", bench)).toEqual([]);
    expect(programsOf("conmon", bench)).toEqual([]);
    expect(tracesOf(bench, request.id)).toEqual([]);
    bench.leave(dying);
  });

  whenPossible(needed, "survives the end of conmon or runc at any time", async () => {
    for (const program of ["conmon", "runc"]) {
      for (const delayMs of [0, 5, 10, 20, 30, 40, 60]) {
        const real = linuxHost();
        await using bench = makePluginRuntimeBench();
        const run: Host["run"] = async (name, words, op) => {
          const result = await real.run(name, words, op);
          if (name === "conmon") setTimeout(() => endProgram(program, bench), delayMs);
          return result;
        };
        const runtime = bench.another({ ...real, run });
        const request = await bench.plugin();
        const outcome = await runtime.start(request, operation).then(
          () => "running",
          (error: unknown) => String(error),
        );
        const told = `${program} after ${delayMs} ms: ${outcome}`;
        if (outcome !== "running") {
          expect(told).toContain("EngineError");
          expect({ told, traces: tracesOf(bench, request.id) }).toEqual({ told, traces: [] });
        }
        await runtime.stop(request.id, operation);
        expect({ told, traces: tracesOf(bench, request.id) }).toEqual({ told, traces: [] });
      }
    }
  });
});

/** SIGKILL to it, where it works in this run directory. */
function endProgram(program: string, bench: PluginRuntimeBench): void {
  for (const pid of programsOf(program, bench)) process.kill(pid, "SIGKILL");
}

function programsOf(program: string, { runDirectory }: PluginRuntimeBench): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 1 && textOf(`/proc/${pid}/comm`).trim() === program)
    .filter((pid) => textOf(`/proc/${pid}/cmdline`).includes(runDirectory));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
