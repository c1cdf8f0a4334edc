// `holdfast lock run` as a client of the histories: one process after the other, on record.
//
// What it does on the wire is its own affair. Its command says when it began and when it ended, and
// in between the lock was held, unless `lock run` says that it was lost.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../crash/random.ts";
import { startChild } from "../support/child.ts";
import { holdfastCommand } from "../support/daemon.ts";
import { machineMs, type RecordLine } from "./record.ts";

export interface LockRunsPlan {
  /** Begins the numbers of its calls. */
  readonly name: string;
  readonly socket: string;
  readonly volume: string;
  readonly locks: readonly string[];
}

/** `lock run` renews it by itself: nobody outside knows when its time is over. */
const renewedTtlMs = 1e9;
/** Longer than the time to live: whose `lock run` is stopped meanwhile has lost it by then. */
const longSeconds = 1.4;
const waitsMs = [0, 300, 2_000];
const script = `echo "began $(date +%s.%N) $HOLDFAST_LOCK_FENCE"
sleep $0
echo "ended $(date +%s.%N)"`;
/** How `lock run` ends when the lock was not free in time, and when it was lost meanwhile. */
const timedOutExit = 75;
const lostExit = 79;
/** The daemon was not there, and nothing was started. */
const refusedExit = 125;
const retryMs = 50;

export class LockRuns {
  readonly #plan: LockRunsPlan;
  readonly #random: Random;
  readonly #write: (line: RecordLine) => void;
  readonly #over: Promise<void>;
  #child: ChildProcess | undefined;
  #isStopping = false;
  #calls = 0;
  #doneCount = 0;

  constructor(plan: LockRunsPlan, random: Random, write: (line: RecordLine) => void) {
    this.#plan = plan;
    this.#random = random;
    this.#write = write;
    this.#over = this.#goOn();
  }

  /** Commands that ran from their beginning to their end with the lock. */
  get doneCount(): number {
    return this.#doneCount;
  }

  /** To `lock run` alone: what it runs hears nothing of it. */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    this.#child?.kill(name);
  }

  /** Resolves when the last one has ended: killed. Rejects where one ended as none may. */
  async end(): Promise<void> {
    this.#isStopping = true;
    this.#child?.kill("SIGKILL");
    await this.#over;
  }

  async #goOn(): Promise<void> {
    while (!this.#isStopping) {
      const exit = await this.#runOne(`${this.#plan.name}.${this.#calls++}`);
      if (exit === refusedExit) await delay(retryMs);
    }
  }

  async #runOne(call: string): Promise<number | null> {
    const { volume, locks, socket } = this.#plan;
    const lock = this.#random.pick(locks);
    const mode = this.#random.chance(0.6) ? "exclusive" : "shared";
    const waitMs = this.#random.pick(waitsMs);
    const options = ["--ttl", "1s", "--label", call, "--wait", String(waitMs / 1_000)];
    if (mode === "shared") options.push("--shared");
    const seconds = this.#random.chance(0.2) ? longSeconds : this.#random.fraction() * 0.2;
    const command = ["sh", "-c", script, String(seconds)];
    const [program, ...first] = holdfastCommand();
    const words = [...first, "lock", "run", ...options, `${volume}/${lock}`, "--", ...command];
    const terms = { bond: "connection", ttlMs: renewedTtlMs, waitMs } as const;
    const asks = { kind: "acquire", mode, ...terms } as const;
    this.#write({ line: "call", call, lock, atMs: machineMs(), asks });
    const child = startChild(program, words, { HOLDFAST_HOST: `unix://${socket}` });
    this.#child = child;
    let said = "";
    let complaint = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint += chunk.toString("utf8");
    });
    const [exit]: (number | null)[] = await once(child, "close");
    this.#tell({ call, lock, exit: exit ?? null, said, complaint });
    return exit ?? null;
  }

  #tell(one: {
    readonly call: string;
    readonly lock: string;
    readonly exit: number | null;
    readonly said: string;
    readonly complaint: string;
  }): void {
    const { call, lock, exit, said, complaint } = one;
    const answer = (answered: Extract<RecordLine, { readonly line: "answer" }>) =>
      this.#write(answered);
    const [, began = "", fence = ""] = /^began ([\d.]+) (\d+)$/m.exec(said) ?? [];
    const [, ended = ""] = /^ended ([\d.]+)$/m.exec(said) ?? [];
    if (began !== "") {
      const atMs = Number(began) * 1_000;
      answer({ line: "answer", call, atMs, answer: { kind: "granted", fence } });
      // From when on it may have been lost: of one that ran to its end, after that.
      const isWhole = exit === 0 && ended !== "";
      const cutMs = isWhole ? Number(ended) * 1_000 : atMs;
      this.#write({ line: "cut", call, atMs: cutMs });
      if (!isWhole) return;
      this.#doneCount += 1;
      const held = `${call}.held`;
      const asks = { kind: "renew", lease: call, ttlMs: renewedTtlMs } as const;
      this.#write({ line: "call", call: held, lock, atMs, asks });
      answer({ line: "answer", call: held, atMs: cutMs, answer: { kind: "done" } });
    } else if (exit === timedOutExit) {
      answer({ line: "answer", call, atMs: machineMs(), answer: { kind: "refused" } });
    } else if (exit === null || exit === refusedExit || exit === lostExit) {
      // Until now it may have had it, and nobody heard of it.
      this.#write({ line: "cut", call, atMs: machineMs() });
    } else {
      throw new Error(`${call} ended with ${exit}: ${said}${complaint}`);
    }
  }
}
