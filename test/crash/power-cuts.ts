// Power cuts: at an acknowledgement the disk is copied in an instant, and life goes on on the copy.
//
// The disk is an image on a btrfs, where a reflink copies it at once. What the daemon's file system
// had not yet sent to its device is not in the copy: exactly what a power cut takes.
import { constants, copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type RunningDaemon, startDaemon } from "../support/daemon.ts";
import type { Random } from "../support/random.ts";
import { Client } from "./client.ts";
import { isContradiction, runLoad } from "./load.ts";
import {
  type FileSystemType,
  makeImage,
  mountedImage,
  mountImage,
  unmountImage,
} from "./loop-image.ts";
import { ClientModel } from "./model.ts";
import { compare, type Place, untilPurged } from "./reality.ts";
import { rebooted, type World } from "./world.ts";

const clientCount = 8;
const namesPerClient = 5;
/** The cut comes after at most so many answers of a life. */
const answersMax = 400;
/** Room for the copies of all three kinds. */
const storeBytes = 4 * 1024 ** 3;

export interface PowerCutRun {
  /** A directory in memory; its contents are the caller's to remove. */
  readonly folder: string;
  readonly random: Random;
  readonly types: readonly FileSystemType[];
  readonly cutsPerType: number;
  /** For the daemon's process. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface PowerCutReport {
  readonly cutCount: number;
  readonly acknowledgedCount: number;
  /** Everything that no acknowledged answer allows. */
  readonly complaints: readonly string[];
}

/**
 * Cuts the power again and again, on each kind of file system, and compares after every cut. A kind
 * is done with its first complaints: what a life finds after them follows from them.
 */
export async function cutPower(run: PowerCutRun): Promise<PowerCutReport> {
  await using store = await mountedImage(run.folder, { type: "btrfs", bytes: storeBytes });
  const complaints: string[] = [];
  let acknowledgedCount = 0;
  for (const type of run.types) {
    const machine = new Machine({ ...run, folder: store.path, type });
    try {
      await machine.setUp();
      for (let cut = 0; cut < run.cutsPerType && machine.complaints.length === 0; cut++) {
        await machine.liveUntilCut();
      }
      if (machine.complaints.length === 0) await machine.liveOn();
    } finally {
      await machine.takeDown();
    }
    complaints.push(...machine.complaints.map((complaint) => `${type}: ${complaint}`));
    acknowledgedCount += machine.acknowledgedCount;
  }
  return { cutCount: run.types.length * run.cutsPerType, acknowledgedCount, complaints };
}

interface MachineParts {
  /** On a file system with reflinks. */
  readonly folder: string;
  readonly type: FileSystemType;
  readonly random: Random;
  readonly environment?: Readonly<Record<string, string>>;
}

/** One disk and the daemons that live on it, one after the other. */
class Machine {
  readonly complaints: string[] = [];
  readonly #parts: MachineParts;
  readonly #disk: string;
  readonly #models: ClientModel[];
  #imageCount = 0;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.#disk = join(parts.folder, `${parts.type}-disk`);
    this.#models = Array.from(
      { length: clientCount },
      (_, index) => new ClientModel(`client${index}`, namesPerClient),
    );
  }

  get acknowledgedCount(): number {
    return this.#models.reduce((sum, model) => sum + model.acknowledgedCount, 0);
  }

  async setUp(): Promise<void> {
    await makeImage({ image: this.#image(0), type: this.#parts.type });
    await mountImage(this.#image(0), this.#disk, this.#parts.type);
  }

  async takeDown(): Promise<void> {
    await unmountImage(this.#disk);
    for (let index = 0; index <= this.#imageCount; index++) {
      rmSync(this.#image(index), { force: true });
    }
  }

  /** One life: a start on what the last cut left, a comparison, load, and the cut. */
  async liveUntilCut(): Promise<void> {
    const daemon = await this.#start();
    const copy = this.#image(this.#imageCount + 1);
    const before = await this.#loadUntilCut(daemon, copy);
    if (before === undefined) return;
    this.#models.splice(0, this.#models.length, ...before);
    await unmountImage(this.#disk);
    rmSync(this.#image(this.#imageCount), { force: true });
    this.#imageCount += 1;
    await mountImage(copy, this.#disk, this.#parts.type);
  }

  /** The last comparison, with a clean end. What was given up goes away, whatever was cut short. */
  async liveOn(): Promise<void> {
    await using daemon = await this.#start();
    if (this.complaints.length === 0) await untilPurged(placeOf(daemon));
  }

  #complain(complaint: string): void {
    this.complaints.push(`after cut ${this.#imageCount}: ${complaint}`);
  }

  async #start(): Promise<RunningDaemon> {
    const { environment = {} } = this.#parts;
    const daemon = await startDaemon({ root: join(this.#disk, "root"), environment });
    for (const complaint of await compare(placeOf(daemon), this.#models)) this.#complain(complaint);
    return daemon;
  }

  /** Resolves with what the clients knew at the cut; undefined when all had complained before. */
  async #loadUntilCut(
    daemon: RunningDaemon,
    copy: string,
  ): Promise<readonly ClientModel[] | undefined> {
    const { random } = this.#parts;
    let answersLeft = 1 + random.below(answersMax);
    let before: readonly ClientModel[] | undefined;
    const cut = (): void => {
      answersLeft -= 1;
      if (answersLeft > 0 || before !== undefined) return;
      before = this.#models.map(afterReboot);
      copyFileSync(this.#image(this.#imageCount), copy, constants.COPYFILE_FICLONE_FORCE);
    };
    const loads = this.#models.map((model) =>
      runLoad({
        client: new Client(daemon.socketPath),
        model,
        random: random.fork(),
        root: daemon.root,
        canMount: true,
        isKilled: () => before !== undefined,
        onAnswer: cut,
      }),
    );
    const ended = await Promise.allSettled(loads);
    await daemon.kill();
    for (const load of ended) {
      if (load.status === "fulfilled") continue;
      // What a client was answered against all acknowledgements is as much a loss as what is gone.
      if (!isContradiction(load.reason)) throw load.reason;
      this.#complain(String(load.reason));
    }
    if (before !== undefined) return before;
    if (this.complaints.length === 0) throw new Error("the load ended before the cut");
    return undefined;
  }

  #image(index: number): string {
    return join(this.#parts.folder, `${this.#parts.type}-${index}.img`);
  }
}

function placeOf({ socketPath, root }: RunningDaemon): Place {
  return { client: new Client(socketPath), root, hadPowerCut: true };
}

/** What a client knows after the machine has come back: nothing is mounted any more. */
function afterReboot(model: ClientModel): ClientModel {
  const copy = model.copy();
  copy.world = rebooted(model.world);
  const { unanswered } = model;
  if (unanswered === undefined) return copy;
  const outcomes = (found: World) => unanswered.outcomes(found).map(rebooted);
  copy.unanswered = { ...unanswered, outcomes };
  return copy;
}
