// The daemon dies at each thing that it has the machine do, before and after it: the next one
// repeats the call, nothing is left mounted or half made, and nobody's data is gone.
import { describe, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import {
  operation,
  type RemoteBench,
  remoteBench,
  trashId,
  wiki,
} from "../../test/support/remote-bench.ts";
import { collect } from "../conformance/expectations.ts";
import type { VolumeDriver } from "../core/driver.ts";
import type { Host } from "../core/host.ts";

const steps = ["mount", "unmount", "detach", "assist", "askStorage", "seal"] as const;

/** From the `count`-th of these calls on, each fails: it is as if nobody was there any more. */
function dieAt(host: Host, count: number, moment: "before" | "after"): () => boolean {
  let left = count;
  const whole = { ...host };
  for (const name of steps) {
    const call: (...args: never[]) => unknown = whole[name];
    const dying = (...args: never[]): unknown => {
      left -= 1;
      if (left < 0 || (left === 0 && moment === "before")) throw new Error("it is dead");
      const result = call(...args);
      if (left > 0 || !(result instanceof Promise)) return result;
      return result.then(() => {
        throw new Error("it is dead");
      });
    };
    Object.assign(host, { [name]: dying });
  }
  return () => {
    Object.assign(host, whole);
    return left <= 0;
  };
}

interface Life {
  readonly name: string;
  /** What was before. */
  before?(driver: VolumeDriver): Promise<unknown>;
  /** What is cut short, and repeated. */
  act(driver: VolumeDriver): Promise<unknown>;
  /** Whether the volume's own data may be gone afterwards. */
  readonly isDestroyed?: true;
}

const spec = { name: wiki, options: { subpath: "made" } };
const retire = (driver: VolumeDriver) =>
  driver.trash?.retire(wiki, { id: trashId, description: "" }, operation) ?? Promise.resolve();
const create = (driver: VolumeDriver) => driver.create(spec, operation);
const moved = { name: wiki, options: { subpath: "made", note: "another" } };

const lives: readonly Life[] = [
  { name: "create", act: create },
  {
    name: "create of what is there",
    act: (driver) => driver.create({ name: wiki, options: { subpath: "precious" } }, operation),
  },
  { name: "forget", before: create, act: (driver) => driver.forget(wiki, operation) },
  {
    name: "update",
    before: create,
    act: async (driver) => driver.update?.update(moved, operation),
  },
  { name: "retire", before: create, act: retire },
  {
    name: "purge",
    before: async (driver) => {
      await create(driver);
      await retire(driver);
    },
    act: async (driver) => driver.trash?.purge([trashId], operation),
    isDestroyed: true,
  },
  {
    name: "destroy",
    before: create,
    act: (driver) => driver.destroy(wiki, operation),
    isDestroyed: true,
  },
];

/** Returns whether it died. */
async function live(life: Life, count: number, moment: "before" | "after"): Promise<boolean> {
  await using bench = remoteBench();
  mkdirSync(join(bench.share, "precious"));
  writeFileSync(join(bench.share, "precious/data"), "precious");
  await life.before?.(bench.driver);
  if (life.before !== undefined) writeFileSync(join(bench.share, "made/data"), "written");
  const revive = dieAt(bench.host, count, moment);
  await life.act(bench.driver).catch(() => undefined);
  const hasDied = revive();
  const next = bench.open();
  await collect(next.list(operation));
  await life.act(next);
  expectWhole(bench, life);
  return hasDied;
}

function expectWhole(bench: RemoteBench, life: Life): void {
  expect(bench.here().filter((each) => each.startsWith(".new-"))).toEqual([]);
  const targets = bench.host.mounts().map(({ target }) => target);
  expect(targets.filter((each) => each.startsWith(`${bench.root}/`))).toEqual([]);
  expect(bench.onServer()).toContain("precious/data");
  if (life.before !== undefined && life.isDestroyed !== true) {
    expect(bench.onServer()).toContain("made/data");
  }
}

describe("dying at each step of", () => {
  for (const life of lives) {
    whenPossible(["root", "mount"], life.name, async () => {
      for (const moment of ["before", "after"] as const) {
        let count = 1;
        while (await live(life, count, moment)) count += 1;
        expect(count).toBeLessThan(50);
      }
    });
  }
});
