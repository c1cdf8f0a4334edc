// A machine whose kernel has clients of NFS and SMB, and FUSE: user-mode Linux.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { descendants, hasEnded, signalAll, stopChild } from "../child.ts";
import {
  AGENT_READY,
  AGENT_REQUEST_BYTES_MAX,
  type AgentAnswer,
  type AgentRequest,
} from "./agent-protocol.ts";
import { diskLetters } from "./machine-setup.ts";
import { CLIENT_ADDRESS, LINK, type PrivateNetwork, withPrefix } from "./private-network.ts";

const memoryMib = 1_024;
const startTimeoutMs = 60_000;
const outputCharactersMax = 16_000;

/** Descriptors of the kernel's process: its serial line in both directions. */
const serialIn = 3;
const serialOut = 4;

export interface ClientMachine {
  /** Has the agent do it. Never rejects for what goes wrong with it: that stands in the answer. */
  ask(request: AgentRequest): Promise<AgentAnswer>;
  /** What the kernel and the agent printed, at the end. */
  output(): string;
  /** Takes its power: nothing is written back, nothing is said to anybody. */
  cutPower(): Promise<void>;
}

/** An image with a file system on this host, which outlives the machine. */
export interface MachineDisk {
  readonly image: string;
  /** The directory of the machine's that it is mounted on. */
  readonly target: string;
}

/**
 * Boots it inside the network; it ends with the network. Needs root and user-mode Linux. Its / is
 * this host's: it may write below /mnt, /run and /tmp, which are its own, and on its disks.
 */
export async function bootClientMachine(
  network: PrivateNetwork,
  disks: readonly MachineDisk[] = [],
): Promise<ClientMachine> {
  const [program, ...parameters] = network.command("linux.uml", ...kernelParameters(disks));
  const child = spawn(program, parameters, {
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
  });
  const output = listen(child);
  const waiting = new Map<number, (answer: AgentAnswer) => void>();
  const ready = Promise.withResolvers<void>();
  child.once("exit", (code) => ready.reject(new Error(`it ended with ${code}`)));
  child.once("error", (error) => ready.reject(error));
  // The two are pipes, as asked for above.
  const toAgent = child.stdio[serialIn] as Writable;
  const fromAgent = child.stdio[serialOut] as Readable;
  createInterface({ input: fromAgent }).on("line", (line) => {
    if (line === AGENT_READY) {
      ready.resolve();
      return;
    }
    // The agent is ours: see agent.ts.
    const { id, answer } = JSON.parse(line) as { id: number; answer: AgentAnswer };
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  const timer = setTimeout(() => ready.reject(new Error("it does not come up")), startTimeoutMs);
  try {
    await ready.promise;
  } catch (error) {
    await stopChild(child);
    throw new Error(`the client machine: ${String(error)}\n${output()}`);
  } finally {
    clearTimeout(timer);
  }
  let lastId = 0;
  return {
    output,
    async cutPower() {
      // With the process of each of its own processes; the first is nsenter.
      signalAll(child.pid === undefined ? [] : await descendants(child.pid), "SIGKILL");
      await stopChild(child);
    },
    async ask(request) {
      if (hasEnded(child)) throw new Error(`the client machine is gone\n${output()}`);
      lastId += 1;
      const text = `${JSON.stringify({ id: lastId, request })}\n`;
      if (text.length > AGENT_REQUEST_BYTES_MAX) throw new Error("too long for the serial line");
      const { promise, resolve } = Promise.withResolvers<AgentAnswer>();
      waiting.set(lastId, resolve);
      toAgent.write(text);
      return await promise;
    },
  };
}

function kernelParameters(disks: readonly MachineDisk[]): readonly string[] {
  return [
    ...[`mem=${memoryMib}M`, "rootfstype=hostfs", "root=/dev/root", "hostfs=/", "rw", "quiet"],
    ...["con=null", "con0=null,fd:1", "ssl=null", `ssl0=fd:${serialIn},fd:${serialOut}`],
    // Without gro the kernel drops what the host sends in pieces larger than a packet.
    `vec0:transport=tap,ifname=${LINK},depth=64,gro=1`,
    ...disks.map(({ image }, index) => `ubd${diskLetters[index]}=${image}`),
    // The runtime aborts without /proc, so it cannot be the very first program.
    ...["init=/usr/bin/unshare", "--", "--mount-proc", process.execPath],
    ...[join(import.meta.dir, "agent.ts"), withPrefix(CLIENT_ADDRESS)],
    ...disks.map(({ target }) => target),
  ];
}

/** Keeps the last of what it prints, and drains its pipes. */
function listen(child: ChildProcess): () => string {
  let text = "";
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString("utf8")).slice(-outputCharactersMax);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return () => text;
}
