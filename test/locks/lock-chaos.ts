// Random clients of a real daemon, with kill -9 and SIGSTOP of clients and kill -9 of the daemon.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../crash/random.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { historiesOf, type TimedEvent } from "./history.ts";
import { LockCaller } from "./lock-caller.ts";
import { LockClients } from "./lock-clients.ts";
import { LockRuns } from "./lock-runs.ts";
import { machineMs, type RecordLine } from "./record.ts";

export const chaosVolume = "shared";
const locks = ["deploy", "cron", "index", "upload"];
const clientCount = 3;
const lanes = 3;
const runsCount = 2;
/** Between two blows, at most. */
const peaceMsMax = 900;
/** A stopped client: shorter and longer than the times to live of its leases. */
const stopMs = { least: 300, most: 2_200 };
/** How many times as long it may take. */
const patience = 5;
/** Longer than any time to live that a client asks for: then nothing may be held any more. */
const freeMs = 10_000;

/** It goes on until both are reached, and a daemon was killed. */
export interface ChaosSize {
  readonly ms: number;
  readonly grantCount: number;
}

export interface ChaosReport {
  readonly histories: ReadonlyMap<string, readonly TimedEvent[]>;
  readonly callCount: number;
  readonly grantCount: number;
  /** Commands of `lock run` that ran to their end. */
  readonly runCount: number;
  readonly daemonKills: number;
  readonly clientKills: number;
  readonly stops: number;
}

class Chaos {
  readonly #folder = temporaryDirectory();
  readonly #random: Random;
  readonly #clients = new LockClients();
  readonly #runs: LockRuns[] = [];
  #daemon: RunningDaemon | undefined;
  #started = 0;
  #stops = 0;
  #daemonKills = 0;
  #clientKills = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  async run(atLeast: ChaosSize): Promise<ChaosReport> {
    try {
      await this.#startDaemon();
      await createVolume(this.#socket);
      for (let left = clientCount; left > 0; left--) this.#startClient();
      for (let left = runsCount; left > 0; left--) this.#startRuns();
      const startMs = machineMs();
      while (!this.#isEnough(atLeast, machineMs() - startMs)) {
        await delay(this.#random.fraction() * peaceMsMax);
        await this.#blow();
        this.#complain();
      }
      await this.#endClients();
      await this.#expectFree();
      return this.#report();
    } catch (error) {
      throw new Error(`${String(error)}\n${this.#daemon?.output() ?? ""}`, { cause: error });
    } finally {
      await this.#endClients();
      await this.#daemon?.kill();
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  /** A busy machine needs longer for as much, and is not waited for for ever. */
  #isEnough({ grantCount, ms }: ChaosSize, spentMs: number): boolean {
    const isDone = this.#grantCount() >= grantCount && this.#daemonKills > 0 && spentMs >= ms;
    return isDone || spentMs > ms * patience;
  }

  #grantCount(): number {
    const { lines } = this.#clients;
    return lines.filter((line) => line.line === "answer" && line.answer.kind === "granted").length;
  }

  get #socket(): string {
    return join(this.#folder, "s");
  }

  async #startDaemon(): Promise<void> {
    const root = join(this.#folder, "root");
    this.#daemon = await startDaemon({ root, socketPath: this.#socket });
  }

  #startClient(): void {
    this.#clients.start({
      name: `c${this.#started++}`,
      ...{ socket: this.#socket, volume: chaosVolume, locks, lanes },
      seed: this.#random.below(1e9),
    });
  }

  #startRuns(): void {
    const place = { socket: this.#socket, volume: chaosVolume, locks };
    const plan = { name: `r${this.#started++}`, ...place };
    const write = (line: RecordLine) => void this.#clients.lines.push(line);
    this.#runs.push(new LockRuns(plan, this.#random.fork(), write));
  }

  async #blow(): Promise<void> {
    const dice = this.#random.fraction();
    if (this.#random.chance(0.3)) return await this.#blowToRun(this.#random.pick(this.#runs));
    const client = this.#random.pick(this.#clients.running);
    if (dice < 0.25) {
      await client.kill();
      this.#clientKills += 1;
      this.#startClient();
    } else if (dice < 0.6) {
      client.stop();
      this.#stops += 1;
      await delay(this.#stopMs());
      client.goOn();
    } else if (dice < 0.85) {
      await this.#killDaemon();
    }
  }

  async #blowToRun(run: LockRuns): Promise<void> {
    if (this.#random.chance(0.5)) {
      run.signal("SIGKILL");
      this.#clientKills += 1;
      return;
    }
    run.signal("SIGSTOP");
    this.#stops += 1;
    await delay(this.#stopMs());
    run.signal("SIGCONT");
  }

  #stopMs(): number {
    return stopMs.least + this.#random.fraction() * (stopMs.most - stopMs.least);
  }

  async #killDaemon(): Promise<void> {
    await this.#daemon?.kill();
    this.#daemonKills += 1;
    // The number that fences begin at is lost now and then, as with a disk that is restored.
    if (this.#random.chance(0.3)) {
      rmSync(join(this.#folder, "root", "leases"), { recursive: true, force: true });
    }
    await this.#startDaemon();
  }

  async #endClients(): Promise<void> {
    for (const client of [...this.#clients.running]) await client.kill();
    for (const run of this.#runs) await run.end();
  }

  /** All clients are dead: within the longest time to live every lock can be had. */
  async #expectFree(): Promise<void> {
    const place = { name: "last", socket: this.#socket, volume: chaosVolume };
    const caller = new LockCaller(place, (line) => this.#clients.lines.push(line));
    for (const lock of locks) {
      const asked = { mode: "exclusive", bond: "none", ttlMs: 60_000, waitMs: freeMs } as const;
      const lease = await caller.acquire({ lock, ...asked });
      if (typeof lease === "string") throw new Error(`${lock} is held by nobody, and not free`);
      await caller.release(lease);
    }
  }

  #complain(): void {
    const { failures } = this.#clients;
    if (failures.length > 0) throw new Error(failures.join("\n"));
  }

  #report(): ChaosReport {
    const { lines, deathMs } = this.#clients;
    return {
      histories: historiesOf(lines, deathMs),
      callCount: lines.filter(({ line }) => line === "call").length,
      grantCount: this.#grantCount(),
      runCount: this.#runs.reduce((sum, { doneCount }) => sum + doneCount, 0),
      daemonKills: this.#daemonKills,
      clientKills: this.#clientKills,
      stops: this.#stops,
    };
  }
}

async function createVolume(unix: string): Promise<void> {
  const answer = await fetch("http://holdfast/volumes/create", {
    ...{ method: "POST", unix, headers: { "Content-Type": "application/json" } },
    body: JSON.stringify({ Name: chaosVolume }),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
}

/** Rejects with what a client or the daemon complained of. */
export async function lockChaos(random: Random, atLeast: ChaosSize): Promise<ChaosReport> {
  return await new Chaos(random).run(atLeast);
}
