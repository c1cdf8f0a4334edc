// The engine's own options: what is accepted, what each means, and that no driver ever sees one.
import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  changedLocal,
  create,
  type EngineBench,
  type EngineBenchParts,
  failureOf,
  named,
  startedEngine,
} from "../../test/support/engine-bench.ts";
import { bracketed } from "../../test/support/recovery-bench.ts";
import type { DriverOptions } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { parseHolderId } from "../core/names.ts";
import type { StateStore } from "../core/state-store.ts";
import {
  driverOptions,
  engineOptionNames,
  engineOptions,
  reclaimModes,
  sharingModes,
  withDriverOptions,
} from "./engine-options.ts";

const ID_MAX = 0xffff_fffe;

/** The refusal's text; undefined: accepted. */
function refusal(options: DriverOptions): string | undefined {
  try {
    engineOptions(options);
    return undefined;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("volume.option_invalid");
    expect(error.message).toContain(`"${String(error.details["option"])}"`);
    return error.message;
  }
}

const tmpfs = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
const nothingSaid = {
  database: "warn",
  owner: undefined,
  trash: undefined,
  reclaim: undefined,
  onStale: "warn",
  guard: "warn",
} as const;

const anyOption = fc.oneof(fc.constantFrom(...engineOptionNames), fc.string());
const anyOptions = fc.dictionary(anyOption, fc.string());

describe("the driver's part", () => {
  test("is everything else, unchanged", () => {
    expect(driverOptions(null)).toEqual({});
    expect(driverOptions(undefined)).toEqual({});
    fc.assert(
      fc.property(anyOptions, (options) => {
        const own: readonly string[] = engineOptionNames;
        const rest = Object.entries(options).filter(([name]) => !own.includes(name));
        expect(Object.entries(driverOptions(options))).toEqual(rest);
        expect(driverOptions(driverOptions(options))).toEqual(driverOptions(options));
      }),
    );
  });

  test("can be replaced; the engine's part stays", () => {
    expect(withDriverOptions(null, {})).toBeNull();
    expect(withDriverOptions({ size: "0" }, {})).toBeNull();
    expect(withDriverOptions({ size: "0", mode: "0700" }, {})).toEqual({ mode: "0700" });
    fc.assert(
      fc.property(anyOptions, anyOptions, (options, given) => {
        const replacement = driverOptions(given);
        const replaced = withDriverOptions(options, replacement);
        expect(driverOptions(replaced)).toEqual(replacement);
        for (const name of engineOptionNames) expect(replaced?.[name]).toBe(options[name]);
      }),
    );
  });
});

describe("the engine's part", () => {
  test("without options anybody may share, and the owner is left alone", () => {
    for (const options of [null, undefined, {}, { size: "0" }]) {
      expect(engineOptions(options)).toEqual({ ...nothingSaid, sharing: "all" });
    }
  });

  test("every mode of sharing, and no other word", () => {
    for (const sharing of sharingModes) expect(engineOptions({ sharing }).sharing).toBe(sharing);
    fc.assert(
      fc.property(fc.string(), (sharing) => {
        const isMode = sharingModes.some((mode) => mode === sharing);
        expect(refusal({ sharing }) === undefined).toBe(isMode);
      }),
    );
  });

  test("owners in numbers, up to the largest that chown(2) takes", () => {
    const id = fc.integer({ min: 0, max: ID_MAX });
    fc.assert(
      fc.property(id, fc.option(id, { nil: undefined }), (userId, groupId) => {
        const owner = groupId === undefined ? `${userId}` : `${userId}:${groupId}`;
        expect(engineOptions({ owner }).owner).toEqual({ userId, groupId });
      }),
    );
    const bad = ["", ":", "1:", ":1", "root", "0:wheel", "-1", "1.5", "1:2:3", " 1", "1\n", "0x1"];
    for (const owner of [...bad, "4294967295", "0:4294967295", "99999999999", "1e3", "٣"]) {
      expect(refusal({ owner })).toContain("UID or UID:GID is needed");
    }
  });

  test("modes in three or four octal digits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0o7777 }), (mode) => {
        const text = mode.toString(8).padStart(mode % 2 === 0 ? 3 : 4, "0");
        expect(engineOptions({ mode: text }).owner).toEqual({ mode });
      }),
    );
    for (const mode of ["", "7", "75", "0o750", "888", "07777 ", "00750", "-750", "u+x", "755\n"]) {
      expect(refusal({ mode })).toContain("three or four octal digits are needed");
    }
  });

  test("owner and mode together", () => {
    const options = { owner: "999:998", mode: "2750", sharing: "none" };
    expect(engineOptions(options)).toEqual({
      ...nothingSaid,
      sharing: "none",
      owner: { userId: 999, groupId: 998, mode: 0o2750 },
    });
  });

  test("times in the trash, and what becomes of the storage", () => {
    expect(engineOptions({ trash: "12h" }).trash).toBe(43_200_000);
    expect(engineOptions({ trash: "off" }).trash).toBe("off");
    for (const reclaim of reclaimModes) expect(engineOptions({ reclaim }).reclaim).toBe(reclaim);
    expect(refusal({ trash: "a week" })).toBe(
      'invalid option: "trash": "a week": a number with d (days), h (hours) or m (minutes), as ' +
        "in 30d, at most 36500d, or off is needed",
    );
    expect(refusal({ reclaim: "Retain" })).toBe(
      'invalid option: "reclaim": "Retain": one of retain, trash, delete is needed',
    );
  });

  test("of trash and reclaim only what fits together is accepted for a new volume", async () => {
    await using bench = await startedEngine();
    const fitting = [
      { reclaim: "retain" },
      { reclaim: "trash", trash: "3d" },
      { reclaim: "delete", trash: "off" },
      { trash: "3d" },
      { trash: "off" },
      { ...tmpfs, reclaim: "retain" },
      { ...tmpfs, trash: "3d" },
    ];
    for (const [index, options] of fitting.entries()) {
      expect((await create(bench, named(`fits-${index}`, { options }))).options).toEqual(options);
    }
    const clashing = [
      { reclaim: "retain", trash: "3d" },
      { reclaim: "retain", trash: "off" },
      { reclaim: "trash", trash: "off" },
      { reclaim: "delete", trash: "3d" },
    ];
    for (const options of clashing) {
      const { code, message } = await failureOf(create(bench, named("clashes", { options })));
      expect(code).toBe("volume.option_invalid");
      expect(message).toContain(`trash=${options.trash} says otherwise`);
    }
    for (const reclaim of ["trash", "delete"]) {
      const options = { ...tmpfs, reclaim };
      const { code, message } = await failureOf(create(bench, named("clashes", { options })));
      expect(code).toBe("volume.option_invalid");
      expect(message).toContain("which is never deleted: only retain fits");
    }
  });

  test("anything is accepted or refused with the option's name, without a change", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        const before = JSON.stringify(options);
        refusal(options);
        expect(JSON.stringify(options)).toBe(before);
      }),
    );
  });
});

const engines = { sharing: "none", owner: "999:999", mode: "0750" };

/** The local driver, which writes down all options that it is given. */
function listening(seen: DriverOptions[]): EngineBenchParts {
  const note = <T extends { readonly options: DriverOptions }>(spec: T): T => {
    seen.push(spec.options);
    return spec;
  };
  return changedLocal((driver) => {
    const { rebuild } = driver;
    if (rebuild === undefined) throw new Error("local can rebuild");
    return {
      validate: (options) => driver.validate(note({ options }).options),
      create: (spec, operation) => driver.create(note(spec), operation),
      rebuild: {
        describe: (spec) => rebuild.describe(note(spec)),
        createNow: (spec) => rebuild.createNow(note(spec)),
        rebuild: (record, operation) => rebuild.rebuild(note(record), operation),
      },
    };
  });
}

function optionsFile(bench: EngineBench): string {
  return join(bench.volumePath("wiki"), "opts.json");
}

describe("no driver sees them", () => {
  test("at create, at a rebuild and where a lost options file is written again", async () => {
    const seen: DriverOptions[] = [];
    await using bench = await startedEngine(listening(seen));
    await create(bench, named("wiki", { options: { ...engines, ...tmpfs } }));
    await create(bench, named("plain", { options: engines }));
    expect(bench.engine.volumes.inspect("wiki").options).toEqual({ ...engines, ...tmpfs });
    expect(readFileSync(optionsFile(bench), "utf8")).not.toContain("sharing");
    rmSync(optionsFile(bench));
    rmSync(bench.volumePath("plain"), { recursive: true });
    await bench.restart();
    expect(bench.engine.recovery.rebuilt.map(String).toSorted()).toEqual(["plain", "wiki"]);
    await bench.restart();
    expect(bench.engine.recovery.failed).toEqual([]);
    expect(bench.engine.volumes.inspect("wiki").options).toEqual({ ...engines, ...tmpfs });
    expect(seen.length).toBeGreaterThan(6);
    for (const options of seen) expect([{}, tmpfs]).toContainEqual(options);
  });

  test("nor one that cannot make a volume again", async () => {
    const seen: DriverOptions[] = [];
    await using bench = await startedEngine(
      bracketed((driver) => ({
        create: (spec, operation) => {
          seen.push(spec.options);
          return driver.create(spec, operation);
        },
      })),
    );
    const options = { ...engines, note: "x" };
    const entry = await create(bench, named("wiki", { driver: "scratch", options }));
    expect([entry.options, seen]).toEqual([options, [{ note: "x" }]]);
    const holder = parseHolderId("c1");
    await bench.engine.volumes.mount("wiki", holder, bench.operation());
    await bench.restart();
    expect(bench.engine.volumes.inspect("wiki").options).toEqual(options);
    await bench.engine.volumes.unmount("wiki", holder, bench.operation());
  });

  test("a wrong one makes no volume", async () => {
    await using bench = await startedEngine();
    const failure = await failureOf(create(bench, named("wiki", { options: { mode: "x" } })));
    expect([failure.code, failure.details["option"]]).toEqual(["volume.option_invalid", "mode"]);
    expect(bench.engine.volumes.list({})).toEqual([]);
  });

  test("a mount compares the driver's options alone", async () => {
    await using bench = await startedEngine();
    await create(bench, named("wiki", { options: engines }));
    const holder = parseHolderId("c1");
    const path = await bench.engine.volumes.mount("wiki", holder, bench.operation());
    expect(path).toBe(join(bench.volumePath("wiki"), "_data"));
  });
});

/** As if the rows had come back from a copy. */
function salvaged(state: StateStore): StateStore {
  return {
    id: state.id,
    origin: { kind: "salvaged", reason: "test", copiedAtMs: 1, damagedPath: null },
    read: (work) => state.read(work),
    write: (work) => state.write(work),
    history: (query) => state.history(query),
    close: () => state.close(),
  };
}

test("where a directory's options replace those of a row, the engine's stay", async () => {
  await using bench = await startedEngine({ state: salvaged });
  await create(bench, named("wiki", { options: { ...engines, ...tmpfs } }));
  const entry = bench.engine.volumes.inspect("wiki");
  const old = { ...entry, options: { ...engines, size: "0" }, usedAtMs: 1 };
  await bench.state.write((transaction) => transaction.putVolume(old));
  await bench.restart();
  expect(bench.engine.volumes.inspect("wiki").options).toEqual({ ...engines, ...tmpfs });
});

test("a prune leaves volumes that were made with one of them; df measures them", async () => {
  await using bench = await startedEngine();
  await create(bench, named("wiki", { options: engines }));
  await create(bench, named("plain"));
  const planned = bench.engine.pruner.plan({}, { all: true }).entries.map(({ name }) => name);
  expect(planned.map(String)).toEqual(["plain"]);
  const usages = await bench.engine.usage.all(bench.operation());
  expect(usages.map(({ entry }) => String(entry.name)).toSorted()).toEqual(["plain", "wiki"]);
});
