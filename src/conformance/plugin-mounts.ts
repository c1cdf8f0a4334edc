// Checks of a plugin's Mount and Unmount.
import { equal, match, notEqual } from "node:assert/strict";
import type { Check } from "./check.ts";
import type { PluginBench } from "./plugin-bench.ts";
import {
  create,
  mount,
  mustDeny,
  mustHold,
  mustTell,
  seesData,
  unmount,
} from "./plugin-expectations.ts";

export const pluginMountChecks: readonly Check<PluginBench>[] = [
  {
    promise: "`Mount` MUST answer the absolute path of a directory.",
    async run(bench) {
      const name = await create(bench, "mounted");
      const path = await mount(bench, name);
      match(path, /^\//, "the path");
      await bench.files?.makeDirectory(`${path}/below`);
      await unmount(bench, name);
    },
  },
  {
    promise: "`Mount` MUST fail for a volume that does not exist.",
    async run(bench) {
      const Name = bench.name("never-created");
      const { error } = await bench.call("Mount", { Name, ID: bench.ids.first });
      notEqual(error, undefined, "Mount succeeds");
      await mustDeny(bench, Name);
    },
  },
  {
    promise: "Repeating `Mount` with the same ID MUST succeed, and show the same data.",
    async run(bench) {
      const name = await create(bench, "mounted-twice");
      const first = await mount(bench, name);
      await bench.files?.write(`${first}/data`, "written");
      const second = await mount(bench, name);
      if (bench.files) equal(await bench.files.read(`${second}/data`), "written");
      for (let count = 0; count < 2; count++) {
        await bench.call("Unmount", { Name: name, ID: bench.ids.first });
      }
    },
  },
  {
    promise: "Two IDs MUST see the same data.",
    applies: seesData,
    async run(bench) {
      const name = await create(bench, "shared");
      const first = await mount(bench, name, bench.ids.first);
      const second = await mount(bench, name, bench.ids.second);
      await bench.files?.write(`${first}/from-first`, "1");
      await bench.files?.write(`${second}/from-second`, "2");
      equal(await bench.files?.read(`${second}/from-first`), "1");
      equal(await bench.files?.read(`${first}/from-second`), "2");
      await unmount(bench, name, bench.ids.first);
      await unmount(bench, name, bench.ids.second);
    },
  },
  {
    promise: "`Unmount` of one ID MUST leave what another has mounted.",
    async run(bench) {
      const name = await create(bench, "held-twice");
      await mount(bench, name, bench.ids.first);
      const path = await mount(bench, name, bench.ids.second);
      await bench.files?.write(`${path}/data`, "held");
      await unmount(bench, name, bench.ids.first);
      if (bench.files) equal(await bench.files.read(`${path}/data`), "held");
      await mustTell(bench, name);
      await unmount(bench, name, bench.ids.second);
    },
  },
  {
    promise: "What was written MUST be there again at the next `Mount`.",
    applies: seesData,
    async run(bench) {
      const name = await create(bench, "written");
      const path = await mount(bench, name);
      await bench.files?.write(`${path}/data`, "written");
      await unmount(bench, name);
      await mustHold(bench, name, "written");
    },
  },
];

export const pluginMountAdvice: readonly Check<PluginBench>[] = [
  {
    promise: "One `Unmount` SHOULD end all that its ID has mounted, however often that was.",
    async run(bench) {
      const name = await create(bench, "counted");
      await mount(bench, name);
      await mount(bench, name);
      await unmount(bench, name);
      await bench.succeed("Remove", { Name: name });
    },
  },
  {
    promise: "`Unmount` of what is not mounted SHOULD succeed.",
    async run(bench) {
      const name = await create(bench, "not-mounted");
      await unmount(bench, name);
      await mount(bench, name);
      await unmount(bench, name);
      await unmount(bench, name);
    },
  },
];
