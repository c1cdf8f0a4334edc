// Random transactions against a model of plain maps, with reopening in between.
import { expect, test } from "bun:test";
import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import {
  contentOf,
  sampleAlias,
  sampleHistory,
  sampleHolder,
  sampleRetired,
  sampleVolume,
} from "../conformance/state-store.ts";
import { makeTrashId, parseHolderId, parseVolumeName } from "../core/names.ts";
import type {
  AliasEntry,
  HolderEntry,
  KnownEngine,
  RetiredEntry,
  StateStore,
  StateTransaction,
  VolumeEntry,
} from "../core/state-store.ts";

class Model {
  readonly volumes = new Map<string, VolumeEntry>();
  readonly holders = new Map<string, Map<string, HolderEntry>>();
  readonly aliases = new Map<string, AliasEntry>();
  readonly retired = new Map<string, RetiredEntry>();
  readonly engines = new Map<string, KnownEngine>();
}

type Step = (model: Model, transaction: StateTransaction) => void;

const names = fc.constantFrom("aa", "bb", "cc", "dd").map(parseVolumeName);
const holderIds = fc.constantFrom("c1", "c2", "\u{1f980}").map(parseHolderId);
const holderKinds = fc.constantFrom("client", "engine");
const engineKeys = fc.constantFrom("docker:/a", "podman:/a", "\u0000", "\u{1f980}");
/** Some are names of volumes too. */
const aliasNames = fc.constantFrom("cc", "dd", "ee", "ff").map(parseVolumeName);
const times = fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e15 });
const digits = fc.constantFrom("1", "2", "f");
const text = fc.string({ unit: "binary" });
const grapheme = fc.string({ unit: "grapheme" });
const protections = fc.record(
  { reason: grapheme, sinceMs: times, by: grapheme },
  { noNullPrototype: true },
);
const lastUses = fc.record({ atMs: times, holder: grapheme }, { noNullPrototype: true });
const texts = fc.dictionary(text, text, { noNullPrototype: true });

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc
    .record({
      name: names,
      labels: fc.option(texts, { nil: null }),
      options: fc.option(texts, { nil: null }),
      createdAtMs: times,
      phase: fc.constantFrom("ready", "creating", "removing"),
      usedAtMs: fc.option(fc.nat(), { nil: null }),
      identity: grapheme,
      lastUse: fc.option(lastUses, { nil: null }),
      note: fc.option(grapheme, { nil: null }),
      protection: fc.option(protections, { nil: null }),
    })
    .map(({ name, ...changed }): Step => {
      const entry = sampleVolume(name, changed);
      return (model, transaction) => {
        if (model.aliases.has(name)) return;
        model.volumes.set(name, entry);
        transaction.putVolume(entry);
      };
    }),
  names.map(
    (name): Step =>
      (model, transaction) => {
        model.volumes.delete(name);
        model.holders.delete(name);
        for (const [alias, { volume }] of model.aliases) {
          if (volume === name) model.aliases.delete(alias);
        }
        transaction.removeVolume(name);
      },
  ),
  fc.tuple(aliasNames, names, times).map(([alias, name, sinceMs]): Step => {
    const entry = sampleAlias(alias, name, sinceMs);
    return (model, transaction) => {
      if (!model.volumes.has(name) || model.volumes.has(alias)) return;
      model.aliases.set(alias, entry);
      transaction.putAlias(entry);
    };
  }),
  aliasNames.map(
    (alias): Step =>
      (model, transaction) => {
        model.aliases.delete(alias);
        transaction.removeAlias(alias);
      },
  ),
  fc.tuple(names, holderIds, fc.nat(), holderKinds).map(([name, holder, sinceMs, kind]): Step => {
    const entry = sampleHolder(name, holder, sinceMs, kind);
    return (model, transaction) => {
      if (!model.volumes.has(name)) return;
      const held = model.holders.get(name) ?? new Map<string, HolderEntry>();
      model.holders.set(name, held.set(holder, entry));
      transaction.putHolder(entry);
    };
  }),
  fc.tuple(names, holderIds).map(
    ([name, holder]): Step =>
      (model, transaction) => {
        model.holders.get(name)?.delete(holder);
        transaction.removeHolder(name, holder);
      },
  ),
  fc
    .record({
      phase: fc.constantFrom("kept", "purging"),
      retiredAtMs: times,
      removedBy: grapheme,
      purgeAtMs: fc.option(times, { nil: null }),
      sizeBytes: fc.option(fc.maxSafeNat(), { nil: null }),
      aliases: fc.array(aliasNames.map(parseVolumeName), { maxLength: 3 }),
      name: names,
      digit: digits,
    })
    .map(({ name, digit, ...changed }): Step => {
      const entry = sampleRetired(name, digit, changed);
      return (model, transaction) => {
        model.retired.set(entry.id, entry);
        transaction.putRetired(entry);
      };
    }),
  digits.map(
    (digit): Step =>
      (model, transaction) => {
        const id = makeTrashId(digit.repeat(16));
        model.retired.delete(id);
        transaction.removeRetired(id);
      },
  ),
  fc.tuple(engineKeys, fc.nat({ max: 3 })).map(([key, sinceMs]): Step => {
    const entry = { key, sinceMs };
    return (model, transaction) => {
      model.engines.set(key, entry);
      transaction.putEngine(entry);
    };
  }),
  engineKeys.map(
    (key): Step =>
      (model, transaction) => {
        model.engines.delete(key);
        transaction.removeEngine(key);
      },
  ),
  names.map(
    (name): Step =>
      (_model, transaction) => {
        transaction.addHistory(sampleHistory(name, 1));
      },
  ),
);

/** Writes of one turn touch different names in reality: here each write is a turn of its own. */
const acts = fc.oneof(
  { weight: 8, arbitrary: fc.array(steps, { minLength: 1, maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom("reopen", "throw") },
);

test("any sequence of transactions leaves what a map would have", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(acts, { maxLength: 25 }), async (sequence) => {
      using directory = temporaryDirectory();
      let store = openIn(directory.path);
      const model = new Model();
      for (const act of sequence) {
        if (act === "reopen") {
          await store.close();
          store = openIn(directory.path);
        } else if (act === "throw") {
          await failedWrite(store);
        } else {
          await store.write((transaction) => {
            for (const step of act) step(model, transaction);
          });
        }
        compare(store, model);
      }
      await store.close();
      store = openIn(directory.path);
      compare(store, model);
      await store.close();
    }),
    { numRuns: 60 },
  );
}, 60_000);

async function failedWrite(store: StateStore): Promise<void> {
  const failed = store.write((transaction) => {
    transaction.removeVolume(parseVolumeName("aa"));
    throw new Error("on purpose");
  });
  await expect(failed).rejects.toThrow("on purpose");
}

function compare(store: StateStore, model: Model): void {
  const seen = contentOf(store);
  const holders = [...model.volumes.keys()].flatMap((name) => [
    ...(model.holders.get(name)?.values() ?? []),
  ]);
  const expected = {
    volumes: [...model.volumes.values()],
    holders,
    aliases: [...model.aliases.values()].sort((a, b) => (a.alias < b.alias ? -1 : 1)),
    retired: [...model.retired.values()],
    engines: [...model.engines.values()].sort(
      (a, b) => a.sinceMs - b.sinceMs || (a.key < b.key ? -1 : 1),
    ),
  };
  deepStrictEqual(sorted(seen), sorted(expected));
  store.read((view) => {
    deepStrictEqual(view.retiredCount, model.retired.size);
    for (const entry of model.aliases.values()) {
      deepStrictEqual(view.alias(entry.alias), entry);
    }
  });
}

/** Holders come in any order. */
function sorted(content: unknown): unknown {
  if (typeof content !== "object" || content === null || !("holders" in content)) return content;
  const { holders } = content;
  if (!Array.isArray(holders)) return content;
  return { ...content, holders: holders.map((holder) => JSON.stringify(holder)).sort() };
}
