// A lease service in many lives, over files in memory and a clock that only the test moves.
import { openFences } from "../../src/cluster/fences.ts";
import { LeaseJournal } from "../../src/cluster/lease-journal.ts";
import { type LocalLeaseService, localLeases } from "../../src/cluster/local-leases.ts";
import type { LeaseBench } from "../../src/conformance/lease-bench.ts";
import type { LeaseService } from "../../src/core/lease-service.ts";
import { silentLog } from "../../src/core/operation.ts";
import { MemoryFenceFile, MemoryJournal } from "./lease-files.ts";
import { manualTimers } from "./manual-timers.ts";
import { testOperation } from "./operation.ts";

/** Wall clock at the start of a stage: some day of 2026. */
const START_MS = 1_780_000_000_000;
/** What is due is not late, as long as the clock moves no faster. */
const STEP_MS = 100;
/** From the end of a daemon to the start of the next one. */
const RESTART_MS = 200;

export class LeaseStage {
  readonly timers = manualTimers();
  journal = new MemoryJournal();
  fences = new MemoryFenceFile();
  #life = 0;

  monotonicMs = (): number => this.timers.monotonicMs();
  nowMs = (): number => START_MS + this.timers.monotonicMs();

  /** The service of the next daemon. Nothing is heard of the one before any more. */
  async start(): Promise<LocalLeaseService> {
    this.#life += 1;
    const life = this.#life;
    const { monotonicMs, nowMs } = this;
    const fences = await openFences({ file: this.fences, nowMs, log: silentLog });
    const boot = { id: "boot", nowMs: monotonicMs };
    const journal = new LeaseJournal({ file: this.journal, boot, log: silentLog });
    const startTimer = (delayMs: number, fire: () => void) =>
      this.timers.startTimer(delayMs, () => {
        if (life === this.#life) fire();
      });
    return localLeases({ monotonicMs, nowMs, fences, journal, startTimer });
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.timers.pass(Math.min(left, STEP_MS));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  loseState(): void {
    this.journal = new MemoryJournal();
    this.fences = new MemoryFenceFile();
  }
}

/** A bench on a stage; `change` breaks the service of each life. */
export async function openLeaseBench(
  stage = new LeaseStage(),
  change: (service: LeaseService, stage: LeaseStage) => LeaseService = (service) => service,
): Promise<LeaseBench> {
  const start = async () => change(await stage.start(), stage);
  return {
    leases: await start(),
    key: (label) => `volume:${label}`,
    operation: testOperation,
    pass: (ms) => stage.pass(ms),
    async restart({ isStateLost } = { isStateLost: false }) {
      if (isStateLost) stage.loseState();
      stage.timers.pass(RESTART_MS);
      return await start();
    },
    async [Symbol.asyncDispose]() {},
  };
}
