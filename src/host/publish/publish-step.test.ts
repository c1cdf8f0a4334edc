// Steps of a publish on storage of several kinds, and a death at each of them.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../../test/support/driver-benches.ts";
import { EngineError } from "../../core/errors.ts";
import type { PreparedPublish, PublishMethod, PublishStep } from "../../core/publishing.ts";
import { type PublishEffects, publishEffects } from "./effects.ts";
import { takePublishStep } from "./publish-step.ts";

let folder: string;
let root: string;
let hexCount: number;

beforeEach(() => {
  folder = temporaryFolder("publish");
  root = join(folder, "volume");
  mkdirSync(root);
  hexCount = 0;
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Storage = "exchanging" | "linking" | "plain";
const kinds: readonly Storage[] = ["exchanging", "linking", "plain"];

class Death extends Error {}

/** Storage of a kind, whose user dies before (or after) the call with that number, from 1. */
function storage(kind: Storage, death = 0, moment: "before" | "after" = "before") {
  const refusal = (code: string) => Object.assign(new Error(`${code}: test`), { code });
  let count = 0;
  let isDead = false;
  const step = <T>(work: () => T): T => {
    if (isDead) throw new Death("dead already");
    count += 1;
    isDead = count === death;
    if (isDead && moment === "before") throw new Death("killed before");
    const result = work();
    if (isDead) throw new Death("killed after");
    return result;
  };
  const effects: PublishEffects = {
    rename: (parent, from, to, how) =>
      step(() => {
        if (how !== "replace" && kind !== "exchanging") throw refusal("EINVAL");
        publishEffects.rename(parent, from, to, how);
      }),
    makeDirectory: (...given) => step(() => publishEffects.makeDirectory(...given)),
    makeLink: (...given) =>
      step(() => {
        if (kind === "plain") throw refusal("ENOTSUP");
        publishEffects.makeLink(...given);
      }),
    removeLink: (...given) => step(() => publishEffects.removeLink(...given)),
    removeTree: (...given) => step(() => publishEffects.removeTree(...given)),
    sync: (...given) => step(() => publishEffects.sync(...given)),
  };
  return { effects, count: () => count };
}

function take(step: PublishStep, effects: PublishEffects): unknown {
  return takePublishStep(root, step, { effects, alive() {} });
}

function nextHex(): string {
  hexCount += 1;
  return hexCount.toString(16).padStart(16, "0");
}

const www = { parent: "", name: "www" } as const;

interface How {
  readonly allowGap?: boolean;
  readonly keep?: number;
}

/** Publishes a tree of one file that says which it is. */
function publish(text: string, effects: PublishEffects, { allowGap = false, keep = 1 }: How = {}) {
  const hex = nextHex();
  const prepared = take({ ...www, do: "prepare", hex, allowGap }, effects) as PreparedPublish;
  mkdirSync(join(root, prepared.staging, "sub"));
  writeFileSync(join(root, prepared.staging, "sub/which"), text);
  take({ ...www, ...prepared, do: "commit", hex, nowMs: hexCount }, effects);
  take({ ...www, do: "prune", keep }, effects);
  return prepared.method;
}

function rollBack(effects: PublishEffects, allowGap = false): PublishMethod {
  const step = { ...www, do: "rollback", hex: nextHex(), nowMs: hexCount, allowGap } as const;
  return (take(step, effects) as { readonly method: PublishMethod }).method;
}

function seen(name = "www"): string {
  const file = join(root, name, "sub/which");
  return existsSync(file) ? readFileSync(file, "utf8") : "nothing";
}

const hidden = () => readdirSync(root).filter((name) => name.startsWith("."));

/** What is kept, the newest first, as it would be seen. */
function kept(): readonly string[] {
  const names = hidden().filter((name) => name.startsWith(".holdfast-previous-www-"));
  const stampOf = (name: string) => Number(name.split("-").at(-1));
  return names.sort((one, other) => stampOf(other) - stampOf(one)).map((name) => seen(name));
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (thrown) {
    if (thrown instanceof EngineError) return thrown.code;
    throw thrown;
  }
}

describe("a tree takes its place", () => {
  test("by an exchange, where the storage has one", () => {
    const { effects } = storage("exchanging");
    expect(publish("1", effects)).toBe("create");
    expect([seen(), kept()]).toEqual(["1", []]);
    expect(publish("2", effects)).toBe("exchange");
    expect([seen(), kept()]).toEqual(["2", ["1"]]);
    expect(publish("3", effects, { keep: 2 })).toBe("exchange");
    expect([seen(), kept()]).toEqual(["3", ["2", "1"]]);
    expect(publish("4", effects, { keep: 0 })).toBe("exchange");
    expect([seen(), kept(), hidden()]).toEqual(["4", [], []]);
  });

  test("behind a symbolic link, where it has none", () => {
    const { effects } = storage("linking");
    for (const text of ["1", "2", "3"]) expect(publish(text, effects)).toBe("link");
    expect([seen(), kept()]).toEqual(["3", ["2"]]);
    expect(lstatSync(join(root, "www")).isSymbolicLink()).toBe(true);
    expect(hidden()).toHaveLength(3);
    publish("4", effects, { keep: 0 });
    expect([seen(), kept(), hidden().length]).toEqual(["4", [], 1]);
  });

  test("with a gap only where that is asked for", () => {
    const { effects } = storage("linking");
    mkdirSync(join(root, "www/sub"), { recursive: true });
    writeFileSync(join(root, "www/sub/which"), "0");
    expect(codeOf(() => publish("1", effects))).toBe("publish.not_atomic");
    expect([seen(), hidden()]).toEqual(["0", []]);
    expect(publish("1", effects, { allowGap: true })).toBe("convert");
    expect([seen(), kept()]).toEqual(["1", ["0"]]);
    expect(publish("2", effects)).toBe("link");
    expect([seen(), kept()]).toEqual(["2", ["1"]]);
  });

  test("with a gap each time where the storage has no links either", () => {
    const { effects } = storage("plain");
    expect(publish("1", effects)).toBe("create");
    expect(codeOf(() => publish("2", effects))).toBe("publish.not_atomic");
    expect(publish("2", effects, { allowGap: true })).toBe("gap");
    expect([seen(), kept()]).toEqual(["2", ["1"]]);
    expect(codeOf(() => rollBack(effects))).toBe("publish.not_atomic");
    expect([rollBack(effects, true), seen(), kept()]).toEqual(["gap", "1", ["2"]]);
  });

  test("anywhere in the volume", () => {
    const { effects } = storage("exchanging");
    mkdirSync(join(root, "a/b"), { recursive: true });
    const hex = nextHex();
    const place = { parent: "a/b", name: "www" };
    const prepared = take(
      { ...place, do: "prepare", hex, allowGap: false },
      effects,
    ) as PreparedPublish;
    take({ ...place, ...prepared, do: "commit", hex, nowMs: 1 }, effects);
    expect(readdirSync(join(root, "a/b"))).toEqual(["www"]);
  });
});

test.each([
  { names: [".holdfast-previous-www-999999999999999"] },
  { names: [".holdfast-gap-www-7", ".holdfast-previous-www-7"] },
  { names: [".holdfast-ready-www-1-7", ".holdfast-previous-www-7"] },
])("names that somebody else has made end no publishing: %p", ({ names }) => {
  const { effects } = storage("exchanging");
  publish("1", effects);
  for (const name of names) mkdirSync(join(root, name, "full"), { recursive: true });
  for (const text of ["2", "3", "4"]) {
    expect([publish(text, effects), seen(), hidden().length]).toEqual(["exchange", text, 1]);
  }
});

describe("refused", () => {
  const prepare = (place: { readonly parent: string; readonly name: string }) =>
    codeOf(() =>
      take(
        { ...place, do: "prepare", hex: nextHex(), allowGap: true },
        storage("exchanging").effects,
      ),
    );

  test("a path that leads through nothing, a file, or a link", () => {
    mkdirSync(join(folder, "outside"));
    writeFileSync(join(root, "file"), "");
    symlinkSync(join(folder, "outside"), join(root, "out"));
    symlinkSync("..", join(root, "up"));
    for (const parent of ["none", "file", "out", "up"]) {
      expect(prepare({ parent, name: "www" })).toBe("publish.path_invalid");
    }
    expect(readdirSync(join(folder, "outside"))).toEqual([]);
  });

  test("what is no directory, and a link of somebody else's", () => {
    writeFileSync(join(root, "file"), "");
    symlinkSync("/etc", join(root, "link"));
    symlinkSync(".holdfast-tree-other-1", join(root, "mine"));
    for (const name of ["file", "link", "mine"]) {
      expect(prepare({ parent: "", name })).toBe("publish.target_unfit");
    }
    expect(hidden()).toEqual([]);
  });

  test("a tree that was exchanged while it was unpacked", () => {
    const { effects } = storage("exchanging");
    publish("1", effects);
    const hex = nextHex();
    const step = { ...www, do: "prepare", hex, allowGap: false } as const;
    const prepared = take(step, effects) as PreparedPublish;
    rmSync(join(root, prepared.staging), { recursive: true });
    symlinkSync(folder, join(root, prepared.staging));
    const commit = { ...www, ...prepared, do: "commit", hex, nowMs: 2 } as const;
    expect(codeOf(() => take(commit, effects))).toBe("publish.changed");
    take({ ...www, do: "settle" }, effects);
    expect([seen(), hidden(), existsSync(root)]).toEqual(["1", [], true]);
  });

  test("an exchange that is said to be done and is not, or is undone at once", () => {
    const { effects } = storage("exchanging");
    publish("1", effects);
    const step = { ...www, do: "prepare", hex: nextHex(), allowGap: false } as const;
    const prepared = take(step, effects) as PreparedPublish;
    const lying: PublishEffects = {
      ...effects,
      rename(...given) {
        if (given[3] !== "exchange") effects.rename(...given);
      },
    };
    const commit = { ...www, ...prepared, do: "commit", hex: step.hex, nowMs: 2 } as const;
    expect(codeOf(() => take(commit, lying))).toBe("publish.changed");
    expect(seen()).toBe("1");
    // Storage that is known to lie is not asked to exchange anything.
    expect(codeOf(() => publish("2", lying))).toBe("publish.not_atomic");
    expect(seen()).toBe("1");
  });

  test("a roll-back where nothing is kept", () => {
    const { effects } = storage("exchanging");
    expect(codeOf(() => rollBack(effects))).toBe("publish.nothing_kept");
    publish("1", effects);
    expect(codeOf(() => rollBack(effects))).toBe("publish.nothing_kept");
  });
});

describe("a roll-back", () => {
  for (const kind of ["exchanging", "linking"] as const) {
    test(`${kind}: brings the tree before, and a second one undoes it`, () => {
      const { effects } = storage(kind);
      for (const text of ["1", "2", "3"]) publish(text, effects, { keep: 5 });
      rollBack(effects);
      expect([seen(), kept()]).toEqual(["2", ["3", "1"]]);
      rollBack(effects);
      expect([seen(), kept()]).toEqual(["3", ["2", "1"]]);
      publish("4", effects, { keep: 5 });
      expect([seen(), kept()]).toEqual(["4", ["3", "2", "1"]]);
    });
  }
});

test("names that look alike are told apart", () => {
  const { effects } = storage("exchanging");
  const others = [
    ".holdfast-previous-www-1-1795676443075",
    ".holdfast-publish-www-0-0000000000000001",
    ".holdfast-previous-www2-5",
    ".holdfast-mark",
  ];
  for (const name of others) mkdirSync(join(root, name));
  publish("1", effects);
  publish("2", effects, { keep: 0 });
  expect(hidden().sort()).toEqual([...others].sort());
});

describe("after a death at any call", () => {
  interface Round {
    readonly name: string;
    readonly allowGap?: boolean;
    /** What is there before. */
    readonly before: (effects: PublishEffects) => void;
    readonly work: (effects: PublishEffects) => void;
    /** What readers may see right after the death. */
    readonly mayBeGone?: boolean;
    readonly old: string;
    readonly renewed: string;
  }
  const directory = () => {
    mkdirSync(join(root, "www/sub"), { recursive: true });
    writeFileSync(join(root, "www/sub/which"), "1");
  };
  const first = (effects: PublishEffects) => {
    publish("0", effects, { allowGap: true });
    publish("1", effects, { allowGap: true });
  };
  const publishing = (effects: PublishEffects) => void publish("2", effects, { allowGap: true });
  const back = (effects: PublishEffects) => void rollBack(effects, true);
  const rounds = kinds.flatMap((kind): readonly (Round & { readonly kind: Storage })[] => [
    {
      kind,
      name: "nothing was there",
      before() {},
      work: publishing,
      old: "nothing",
      renewed: "2",
    },
    {
      ...{ kind, name: "a directory was there", before: directory, work: publishing },
      ...{ old: "1", renewed: "2", mayBeGone: kind !== "exchanging" },
    },
    {
      ...{ kind, name: "a tree was published", before: first, work: publishing },
      ...{ old: "1", renewed: "2", mayBeGone: kind === "plain" },
    },
    {
      ...{ kind, name: "a roll-back", before: first, work: back },
      ...{ old: "1", renewed: "0", mayBeGone: kind === "plain" },
    },
  ]);
  const cases = rounds.flatMap((round) => [
    { ...round, moment: "before" as const },
    { ...round, moment: "after" as const },
  ]);
  for (const round of cases) {
    test(`${round.kind}, ${round.moment} the call, ${round.name}`, () => {
      const { kind, moment, mayBeGone, old, renewed } = round;
      for (let death = 1; ; death++) {
        rmSync(root, { recursive: true });
        mkdirSync(root);
        hexCount = 0;
        round.before(storage(kind).effects);
        const dying = storage(kind, death, moment);
        let isOver = false;
        try {
          round.work(dying.effects);
          isOver = true;
        } catch (thrown) {
          if (!isOfDeath(thrown)) throw thrown;
        }
        if (isOver) {
          expect(dying.count()).toBeLessThan(death);
          expect(death).toBeGreaterThan(2);
          return;
        }
        const there = seen();
        expect([old, renewed, ...(mayBeGone ? ["nothing"] : [])]).toContain(there);
        take({ ...www, do: "settle" }, storage(kind).effects);
        const settled = seen();
        expect([old, renewed]).toContain(settled);
        if (there !== "nothing") expect(settled).toBe(there);
        expect(leftovers()).toEqual([]);
        // What was never seen is never rolled back to, and what was replaced is kept.
        const isBack = round.work === back;
        const possible = isBack ? [old, renewed] : settled === renewed ? [old, "0"] : ["0"];
        for (const each of kept()) expect(possible).toContain(each);
        if (isBack || settled === renewed) expect(kept()[0] ?? "nothing").not.toBe(settled);
        if (settled === renewed && old !== "nothing") expect(kept()[0]).toBe(old);
        publish("3", storage(kind).effects, { allowGap: true });
        expect(seen()).toBe("3");
      }
    });
  }

  /** Nothing but kept trees, and what is behind links. */
  function leftovers(): readonly string[] {
    return hidden().filter((name) => !/^\.holdfast-(?:previous|tree)-www-\d+$/.test(name));
  }

  function isOfDeath(thrown: unknown): boolean {
    if (thrown instanceof Death) return true;
    return thrown instanceof Error && isOfDeath(thrown.cause);
  }
});
