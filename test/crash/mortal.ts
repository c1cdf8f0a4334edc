// A process that dies at a given step, within this one: from then on nothing that it does has an
// effect, so nothing that it had begun is finished or taken back either.
//
// Steps are what changes the storage of `local` (each single system call), what runs a program, and
// each commit of the state.
import fs, { readlinkSync } from "node:fs";
import { EngineError } from "../../src/core/errors.ts";
import type { Host } from "../../src/core/host.ts";
import type { StateStore } from "../../src/core/state-store.ts";

/** The calls by which src/drivers/local changes anything, all with the path or descriptor first. */
const changingCalls = [
  ...["mkdirSync", "renameSync", "rmdirSync", "unlinkSync", "rmSync", "writeFileSync"],
  ...["openSync", "writeSync", "fsyncSync", "fdatasyncSync", "ftruncateSync", "chmodSync"],
  ...["linkSync", "symlinkSync", "copyFileSync", "truncateSync", "fchmodSync", "utimesSync"],
] as const;

export class Mortal implements Disposable {
  #root: string | undefined;
  readonly #originals = new Map<string, unknown>();
  /** What was done since the last `dieAfter`, the step that it died at too. */
  readonly steps: string[] = [];
  #stepsLeft: number | undefined;
  #isDead = false;

  constructor() {
    for (const name of changingCalls) this.#surround(name);
  }

  /** Only what lies below `root` is counted and kept from changing. */
  watch(root: string): void {
    this.#root = root;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** After so many further steps nothing happens any more; undefined: it lives on. */
  dieAfter(stepCount: number | undefined): void {
    this.steps.length = 0;
    this.#stepsLeft = stepCount;
    this.#isDead = false;
  }

  state(inner: StateStore): StateStore {
    return {
      ...inner,
      write: async (work) => {
        this.#step("commit");
        return await inner.write(work);
      },
    };
  }

  /** A program that dies with its daemon has done a part of its work: `half` does that part. */
  host(inner: Host, half: (program: string, words: readonly string[]) => void): Host {
    return {
      ...inner,
      run: async (program, words, operation) => {
        const isLast = this.#stepsLeft === 0 && !this.#isDead;
        if (isLast) half(program, words);
        this.#step(program);
        return await inner.run(program, words, operation);
      },
    };
  }

  /** These calls of a host are steps, too: each has its whole effect, or none. */
  watchCalls(host: Host, names: readonly (keyof Host)[]): void {
    for (const name of names) {
      const call: (...parameters: never[]) => unknown = host[name];
      const surrounded = (...parameters: never[]): unknown => {
        this.#step(name);
        return call(...parameters);
      };
      Object.assign(host, { [name]: surrounded });
    }
  }

  [Symbol.dispose](): void {
    for (const [name, original] of this.#originals) Reflect.set(fs, name, original);
  }

  #step(what: string): void {
    if (this.#stepsLeft === undefined) return;
    if (!this.#isDead) this.steps.push(what);
    if (this.#stepsLeft === 0) {
      this.#isDead = true;
      throw new EngineError("storage.failed", `dead before ${what}`);
    }
    this.#stepsLeft -= 1;
  }

  #surround(name: (typeof changingCalls)[number]): void {
    const original: unknown = Reflect.get(fs, name);
    if (typeof original !== "function") throw new Error(`node:fs has no ${name}`);
    this.#originals.set(name, original);
    const surrounded = (...parameters: unknown[]): unknown => {
      const path = this.#changed(name, parameters);
      if (path !== undefined) this.#step(`${name} ${path}`);
      return Reflect.apply(original, fs, parameters);
    };
    Reflect.set(fs, name, surrounded);
  }

  /** What below the root the call would change; undefined: nothing. */
  #changed(name: string, [first, second]: readonly unknown[]): string | undefined {
    if (name === "openSync" && isReading(second)) return undefined;
    if (this.#root === undefined) return undefined;
    const path = typeof first === "number" ? pathOf(first) : String(first);
    if (!path.startsWith(`${this.#root}/`)) return undefined;
    return path.slice(this.#root.length + 1);
  }
}

function isReading(flags: unknown): boolean {
  if (flags === undefined || flags === "r") return true;
  if (typeof flags !== "number") return false;
  const { O_CREAT, O_WRONLY, O_RDWR } = fs.constants;
  return (flags & (O_CREAT | O_WRONLY | O_RDWR)) === 0;
}

function pathOf(descriptor: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "";
  }
}
