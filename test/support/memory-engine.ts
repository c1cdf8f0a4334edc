// A container engine in memory, for tests of what Holdfast makes of its answers.
import type {
  ContainerEngine,
  ContainerEngineFinder,
  EngineContainer,
  EngineService,
} from "../../src/core/container-engine.ts";
import { EngineError } from "../../src/core/errors.ts";
import type { Caller } from "../../src/core/operation.ts";

/** No process of this machine has a number as high. */
const ENGINE_PID = 6_000_000;

export interface MemoryEngine {
  readonly key: string;
  readonly finder: ContainerEngineFinder;
  /** Who calls when the engine does. */
  readonly caller: Caller;
  /** What it lists. */
  readonly containers: EngineContainer[];
  /** Services that it lists. */
  readonly services: EngineService[];
  /** Containers that it is working on, as on one that it starts. */
  readonly busy: Set<string>;
  /** Of which containers it was asked whether it is working on them, in that order. */
  readonly busyQuestions: string[];
  /** Runs after each of these. */
  afterBusyQuestion: (() => void) | undefined;
  /** Containers that it was told to stop. */
  readonly stopped: string[];
  /** Containers that it was told to restart. */
  readonly restarted: string[];
  /** Containers that it could not start for want of a volume. */
  readonly failedAtVolume: Set<string>;
  /** What it says of why, where a test cares. */
  readonly failures: Map<string, string>;
  /** Of those that it is told to start, the ones that fail again. */
  readonly failsAgain: Set<string>;
  /** Those of them that it was told to start after all. */
  readonly startedAgain: string[];
  /** False: it answers nothing. */
  isThere: boolean;
  /** False: it has containers, and cannot say which services there are. */
  knowsServices: boolean;
}

export function memoryEngine(): MemoryEngine {
  const key = "docker:/memory";
  const engine: ContainerEngine = {
    kind: "docker",
    key,
    isAskableInCalls: true,
    async containers() {
      if (memory.isThere) return [...memory.containers];
      throw new EngineError("containers.unreachable", "nobody listens");
    },
    async services() {
      if (memory.isThere && memory.knowsServices) return [...memory.services];
      throw new EngineError("containers.unreachable", "the Swarm is locked");
    },
    isBusyWith: async (container) => {
      memory.busyQuestions.push(container);
      const isBusy = memory.busy.has(container);
      memory.afterBusyQuestion?.();
      return isBusy;
    },
    mountsOnceForAll: false,
    stop: async (container) => void memory.stopped.push(container),
    restart: async (container) => void memory.restarted.push(container),
    startAgain: async (container, isWanted) => {
      if (!memory.failedAtVolume.has(container)) return false;
      if (!isWanted(memory.failures.get(container) ?? "")) return false;
      memory.startedAgain.push(container);
      if (!memory.failsAgain.has(container)) return true;
      throw new EngineError("containers.unreachable", "it answered 500");
    },
  };
  const memory: MemoryEngine = {
    key,
    caller: { kind: "process", uid: 0, gid: 0, pid: ENGINE_PID },
    containers: [],
    services: [],
    busy: new Set(),
    busyQuestions: [],
    afterBusyQuestion: undefined,
    stopped: [],
    restarted: [],
    failedAtVolume: new Set(),
    failures: new Map(),
    failsAgain: new Set(),
    startedAgain: [],
    isThere: true,
    knowsServices: true,
    finder: {
      ofCaller: (caller) =>
        caller.kind === "process" && caller.pid === ENGINE_PID ? engine : undefined,
      ofKey: (asked) => (asked === key ? engine : undefined),
      running: () => [],
    },
  };
  return memory;
}

/** A container with one volume at /data. */
export function containerWith(
  volume: string,
  more: Partial<Omit<EngineContainer, "volumes">> & { readonly isReadOnly?: boolean } = {},
): EngineContainer {
  const { isReadOnly = false, ...facts } = more;
  const nothing = { id: "a".repeat(64), name: "db", project: null, isRunning: true };
  return { ...nothing, ...facts, volumes: [{ volume, destination: "/data", isReadOnly }] };
}
