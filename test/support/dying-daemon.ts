// Preloaded into a daemon of a test: has it kill itself right before or after a step that is asked
// for, by SIGKILL, as a crash would: a change of a file, a commit, the start of a program.
//
// Without its variable in the environment it does nothing.
import fs from "node:fs";
import { join } from "node:path";

/** The folder in which orders and steps are files. */
const VARIABLE = "HOLDFAST_TEST_DYING";

/** Calls that change something, all with the path or descriptor first. */
const calls = [
  ...["mkdirSync", "renameSync", "rmdirSync", "unlinkSync", "rmSync", "writeFileSync"],
  ...["openSync", "writeSync", "fsyncSync", "fdatasyncSync", "chmodSync"],
] as const;
const promisedCalls = ["open", "rename", "mkdir", "rm", "unlink", "writeFile", "rmdir"] as const;

export interface Death {
  /** At which of the steps from now on, from 1. */
  readonly at: number;
  readonly moment: "before" | "after";
}

/** Orders deaths of the daemons that are started with its environment. */
export class Deaths {
  readonly #folder: string;
  /** For `startDaemon`. */
  readonly environment: Readonly<Record<string, string>>;
  #orders = 0;

  /** `folder` exists, and is the caller's to remove. */
  constructor(folder: string) {
    this.#folder = folder;
    this.environment = {
      BUN_OPTIONS: `--preload ${import.meta.path}`,
      [VARIABLE]: folder,
    };
  }

  /** Counting begins anew. */
  order({ at, moment }: Death): void {
    fs.writeFileSync(join(this.#folder, "steps"), "");
    this.#orders += 1;
    fs.writeFileSync(join(this.#folder, "order.new"), `${at} ${moment} ${this.#orders}`);
    fs.renameSync(join(this.#folder, "order.new"), join(this.#folder, "order"));
  }

  /** Nobody dies, and nothing is counted. */
  cancel(): void {
    fs.rmSync(join(this.#folder, "order"), { force: true });
  }

  /** What was done since the last order. */
  get steps(): readonly string[] {
    return fs.readFileSync(join(this.#folder, "steps"), "utf8").split("\n").slice(0, -1);
  }
}

/** What the daemon does of it. */
class Dying {
  readonly #order: string;
  readonly #steps: string;
  readonly #append = fs.appendFileSync;
  readonly #read = fs.readFileSync;
  #count = 0;
  #number = 0;
  #isWriting = false;

  constructor(folder: string) {
    this.#order = join(folder, "order");
    this.#steps = join(folder, "steps");
  }

  /** Does the step, unless it dies before; and then what is to be done after it. */
  step<T>(what: string, work: () => T): T {
    const order = this.#isWriting ? undefined : this.#ordered();
    if (order === undefined) return work();
    this.#count = order.number === this.#number ? this.#count + 1 : 1;
    this.#number = order.number;
    this.#isWriting = true;
    this.#append(this.#steps, `${what}\n`);
    this.#isWriting = false;
    const isNow = this.#count === order.at;
    if (isNow && order.moment === "before") die();
    const result = work();
    if (isNow) die();
    return result;
  }

  #ordered(): (Death & { readonly number: number }) | undefined {
    try {
      const [at, moment, number] = this.#read(this.#order, "utf8").split(" ");
      const when = moment === "after" ? "after" : "before";
      return { at: Number(at), moment: when, number: Number(number) };
    } catch {
      return undefined;
    }
  }
}

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

type AnyFunction = (this: unknown, ...parameters: unknown[]) => unknown;

function surround(holder: object, name: string, words: (given: readonly unknown[]) => string) {
  const original: unknown = Reflect.get(holder, name);
  if (typeof original !== "function") throw new Error(`there is no ${name}`);
  const surrounded: AnyFunction = function (...parameters) {
    const call = () => Reflect.apply(original, this, parameters);
    const what = words(parameters);
    return what === "" ? call() : dying.step(what, call);
  };
  Reflect.set(holder, name, surrounded);
}

/** "": it changes nothing that matters. */
function fileWords(name: string, [first, second]: readonly unknown[]): string {
  if (name.startsWith("open") && isReading(second)) return "";
  const path = typeof first === "number" ? pathOf(first) : String(first);
  const isOurs = path.includes("/root/") || path.startsWith("/run/holdfast/");
  return isOurs ? `${name} ${path.replace(/.*\/root\//, "")}` : "";
}

function isReading(flags: unknown): boolean {
  if (flags === undefined || flags === "r") return true;
  if (typeof flags !== "number") return false;
  const { O_CREAT, O_WRONLY, O_RDWR } = fs.constants;
  return (flags & (O_CREAT | O_WRONLY | O_RDWR)) === 0;
}

function pathOf(descriptor: number): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "";
  }
}

function programWords([command]: readonly unknown[]): string {
  return `start ${Array.isArray(command) ? command.slice(0, 9).join(" ") : "a program"}`;
}

const folder = process.env[VARIABLE] ?? "";
const dying = new Dying(folder);
if (folder !== "") {
  for (const name of calls) surround(fs, name, (given) => fileWords(name, given));
  for (const name of promisedCalls) {
    surround(fs.promises, name, (given) => fileWords(name, given));
  }
  surround(Bun, "spawn", programWords);
}
