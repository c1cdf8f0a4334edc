// Where the tests of the trash happen: one Holdfast with a dockerd, for all tests of a file.
import { afterAll, beforeAll } from "bun:test";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { dockerRequirements, startMs, testMs } from "./steps.ts";

/** A test on the stage, skipped loudly where the machine lacks what the stage or it needs. */
export type When = (
  name: string,
  run: () => Promise<void>,
  ...more: readonly Requirement[]
) => void;

/**
 * To be called where a file begins: `set` gets the stage before the first test. `more` is what all
 * tests of the file need beside the usual.
 */
export function stage(set: (bench: HoldsBench) => void, ...more: readonly Requirement[]): When {
  const requirements = [...dockerRequirements, ...more];
  let bench: HoldsBench | undefined;
  beforeAll(async () => {
    if (needs(...requirements).skip !== undefined) return;
    bench = new HoldsBench();
    set(bench);
    await bench.start();
  }, startMs);
  afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);
  return (name, run, ...others) => {
    whenPossible([...requirements, ...others], name, run, testMs);
  };
}
