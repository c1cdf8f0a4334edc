// Creates by plugins: names with and without a tag, plugins that are not there, options.
import { describe, expect, test } from "bun:test";
import {
  create,
  failureOf,
  named,
  names,
  startedEngine,
} from "../../../test/support/engine-bench.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId } from "../../core/names.ts";

describe("the name of a driver", () => {
  test("means a managed plugin without its tag, which stands in the row with it", async () => {
    await using bench = await startedEngine({ plugins: (all) => void all.install("mp:latest") });
    const entry = await create(bench, named("wiki", { driver: "mp" }));
    expect(String(entry.driver)).toBe("mp:latest");
    for (const driver of ["mp", "mp:latest", "docker.io/library/mp", ""]) {
      expect(await create(bench, named("wiki", { driver }))).toBe(entry);
    }
    const { code, message } = await failureOf(create(bench, named("wiki", { driver: "mp:v2" })));
    expect(code).toBe("volume.exists_differently");
    expect(message).toBe(
      "driver 'mp:latest' already has volume 'wiki': volume name must be unique",
    );
    bench.plugins.forget("mp:latest");
    expect(await create(bench, named("wiki", { driver: "mp" }))).toBe(entry);
  });

  test("means a managed plugin before a socket plugin, and rows keep their own", async () => {
    await using bench = await startedEngine({ plugins: (all) => void all.socket("vp") });
    await create(bench, named("old", { driver: "vp" }));
    bench.plugins.install("vp:latest");
    const entry = await create(bench, named("new", { driver: "vp" }));
    expect(String(entry.driver)).toBe("vp:latest");
    expect((await create(bench, named("old", { driver: "vp" }))).name).toBe(
      bench.engine.volumes.inspect("old").name,
    );
    // The other plugin is not told of a volume that it does not have.
    const mounting = bench.engine.volumes.mount("old", parseHolderId("c1"), bench.operation());
    expect((await failureOf(mounting)).code).toBe("driver.not_found");
  });

  test("is a built-in driver's first, whatever plugins there are", async () => {
    await using bench = await startedEngine({
      plugins: (all) => {
        all.socket("local");
        all.install("local:latest");
      },
    });
    expect(String((await create(bench, named("wiki"))).driver)).toBe("local");
    expect((await create(bench, named("wiki", { driver: "local" }))).name).toBe(
      bench.engine.volumes.inspect("wiki").name,
    );
    const other = create(bench, named("wiki", { driver: "local:latest" }));
    expect((await failureOf(other)).code).toBe("volume.exists_differently");
  });

  test("is looked for once more where it is not known, and then refused at once", async () => {
    await using bench = await startedEngine();
    const { code, message } = await failureOf(create(bench, named("wiki", { driver: "vp" })));
    expect(code).toBe("driver.not_found");
    expect(message).toBe('error looking up volume plugin vp: plugin "vp" not found');
    bench.plugins.lookAgain = () => void bench.plugins.socket("vp");
    expect(String((await create(bench, named("wiki", { driver: "vp" }))).driver)).toBe("vp");
  });

  test("of a plugin that is stopped is Docker's refusal", async () => {
    await using bench = await startedEngine({ plugins: (all) => void all.install("mp:latest") });
    bench.plugins.become("mp:latest", "disabled");
    const { code, message } = await failureOf(create(bench, named("wiki", { driver: "mp" })));
    expect(code).toBe("plugin.disabled");
    expect(message).toBe("error looking up volume plugin mp: plugin mp:latest found but disabled");
    expect(names(bench)).toEqual([]);
  });

  test("in `info` is one of the built-in drivers and of socket plugins that answer", async () => {
    await using bench = await startedEngine({
      plugins: (all) => {
        all.socket("vp");
        all.socket("dead");
        all.install("mp:latest");
      },
    });
    bench.plugins.become("dead", "unreachable");
    expect(bench.engine.drivers.names()).toEqual(["local", "scratch", "vp"]);
  });
});

test("a create that the plugin refuses leaves nothing, and has the plugin's words", async () => {
  const words = new EngineError("plugin.failed", "quota exceeded");
  await using bench = await startedEngine({
    plugins: (all) => void all.socket("vp", () => ({ create: async () => Promise.reject(words) })),
  });
  expect(await failureOf(create(bench, named("wiki", { driver: "vp" })))).toBe(words);
  expect(names(bench)).toEqual([]);
  expect(bench.state.read((view) => view.volume("wiki"))).toBeUndefined();
});

test("a plugin's options are not compared at a mount, and its trash is none", async () => {
  await using bench = await startedEngine({ plugins: (all) => void all.socket("vp") });
  const options = { sharing: "all", colour: "blue" };
  const entry = await create(bench, named("wiki", { driver: "vp", options }));
  expect(entry).toMatchObject({ options, identity: "", createdAtMs: bench.nowMs });
  const holder = parseHolderId("c1");
  const path = await bench.engine.volumes.mount("wiki", holder, bench.operation());
  expect(path).toBe(entry.mountpoint);
  expect(bench.engine.fateOf(entry)).toBe("removed by its plugin");
  for (const option of [{ trash: "7d" }, { reclaim: "retain" }, { reclaim: "trash" }]) {
    const wanted = named("other", { driver: "vp", options: option });
    expect((await failureOf(create(bench, wanted))).code).toBe("volume.option_invalid");
    const change = { labelsSet: {}, labelsRemoved: [], optionsSet: option, optionsRemoved: [] };
    const changing = bench.engine.upkeep.update("wiki", change, bench.operation());
    expect((await failureOf(changing)).code).toBe("volume.option_invalid");
  }
  const gone = { reclaim: "delete", trash: "off", size: "1g" };
  expect((await create(bench, named("other", { driver: "vp", options: gone }))).options).toEqual(
    gone,
  );
});
