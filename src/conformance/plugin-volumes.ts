// Checks of a plugin's volumes: Create, Get, List, Path, Capabilities and Remove.
import { equal, fail, match, notEqual, ok } from "node:assert/strict";
import type { Check } from "./check.ts";
import { found, type PluginBench, type PluginObject } from "./plugin-bench.ts";
import {
  create,
  mustDeny,
  mustHold,
  mustTell,
  seesData,
  writeInto,
} from "./plugin-expectations.ts";

const unknownOption = "holdfast-verify-unknown";

/** How many volumes the check of `List` makes. */
const listedCount = 3;

/** What Go's time.RFC3339 accepts. */
const timePattern = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

export const pluginVolumeChecks: readonly Check<PluginBench>[] = [
  {
    promise: "What `Create` made, `Get` MUST tell by its name.",
    async run(bench) {
      const name = bench.name("made");
      await mustDeny(bench, name);
      await create(bench, "made");
      equal((await mustTell(bench, name))["Name"], name);
    },
  },
  {
    promise:
      "Repeating `Create` with the same options MUST succeed, and MUST leave the data as it is.",
    async run(bench) {
      const name = await create(bench, "repeated");
      if (seesData(bench)) await writeInto(bench, name, "kept");
      await create(bench, "repeated");
      await mustTell(bench, name);
      if (seesData(bench)) await mustHold(bench, name, "kept");
    },
  },
  {
    promise:
      "An option that the plugin does not know MUST be refused or ignored, and what was refused " +
      "MUST NOT be there.",
    async run(bench) {
      const Name = bench.name("odd-option");
      const Opts = { ...bench.options, [unknownOption]: "1" };
      const { error } = await bench.call("Create", { Name, Opts });
      if (error === undefined) await mustTell(bench, Name);
      else await mustDeny(bench, Name);
    },
  },
  {
    promise: "`Get` MUST answer `Err`, or no `Volume`, for what does not exist.",
    async run(bench) {
      await mustDeny(bench, bench.name("never-created"));
      await create(bench, "never-create");
      await mustDeny(bench, bench.name("never-created"));
    },
  },
  {
    promise: "`CreatedAt` of `Get`, where it is there, MUST be a time of RFC 3339.",
    async run(bench) {
      const { CreatedAt: at } = await mustTell(bench, await create(bench, "dated"));
      if (at === undefined || at === "") return;
      if (typeof at !== "string") fail(`CreatedAt must be a text: ${JSON.stringify(at)}`);
      match(at, timePattern, "CreatedAt");
      ok(Number.isFinite(Date.parse(at)), `CreatedAt must be a time: ${at}`);
    },
  },
  {
    promise: "`Status` of `Get`, where it is there, MUST be an object.",
    async run(bench) {
      const { Status: status } = await mustTell(bench, await create(bench, "status"));
      if (status === undefined || status === null) return;
      ok(typeof status === "object" && !Array.isArray(status), JSON.stringify(status));
    },
  },
  {
    promise: "`Mountpoint` of `Get`, `List` and `Path` MUST be an absolute path, empty or missing.",
    async run(bench) {
      const name = await create(bench, "place");
      const places = async (): Promise<readonly unknown[]> => [
        (await mustTell(bench, name))["Mountpoint"],
        (await listed(bench)).find((volume) => volume["Name"] === name)?.["Mountpoint"],
        // Nobody but Docker asks for it: a plugin may know no such call.
        (await bench.call("Path", { Name: name })).object?.["Mountpoint"],
      ];
      const before = await places();
      await bench.succeed("Mount", { Name: name, ID: bench.ids.first });
      const during = await places();
      await bench.succeed("Unmount", { Name: name, ID: bench.ids.first });
      for (const place of [...before, ...during]) {
        if (place !== undefined && place !== "") match(String(place), /^\//, "a Mountpoint");
      }
    },
  },
  {
    promise: "`List` MUST have every volume once.",
    async run(bench) {
      const expected: string[] = [];
      for (let at = 0; at < listedCount; at++) expected.push(await create(bench, `listed-${at}`));
      const names = (await listed(bench)).map((volume) => volume["Name"]);
      equal(new Set(names).size, names.length, "List has a volume twice");
      for (const name of expected) ok(names.includes(name), `List does not have ${name}`);
    },
  },
  {
    promise: "`Capabilities`, where the plugin knows it, MUST say the scope `local` or `global`.",
    async run(bench) {
      const { error, object, body } = await bench.call("Capabilities");
      // To be without it is allowed, and means `local`.
      if (error !== undefined) return;
      const capabilities = object?.["Capabilities"];
      ok(typeof capabilities === "object" && capabilities !== null, body.slice(0, 200));
      // Just looked: a record.
      const { Scope: scope } = capabilities as PluginObject;
      ok(["local", "global"].includes(String(scope).toLowerCase()), body.slice(0, 200));
    },
  },
  {
    promise: "After `Remove`, `Get` MUST deny the volume, and `List` MUST NOT have it.",
    async run(bench) {
      const name = await create(bench, "removed");
      await bench.succeed("Remove", { Name: name });
      await mustDeny(bench, name);
    },
  },
  {
    promise: "What a removed volume held MUST NOT be in a new one of its name.",
    applies: seesData,
    async run(bench) {
      const name = await create(bench, "made-again");
      await writeInto(bench, name, "of the first");
      await bench.succeed("Remove", { Name: name });
      await create(bench, "made-again");
      await mustHold(bench, name, undefined);
    },
  },
  {
    promise: "A call about a volume that does not exist MUST be answered, and MUST NOT make it.",
    async run(bench) {
      const Name = bench.name("never-created");
      const ID = bench.ids.first;
      for (const method of ["Path", "Get", "Unmount", "Mount", "Remove"]) {
        const isOfHolder = method.endsWith("ount");
        await bench.call(method, isOfHolder ? { Name, ID } : { Name });
        await mustDeny(bench, Name);
      }
    },
  },
  {
    promise: "A name of 2 to 255 of `[a-zA-Z0-9_.-]` MUST work or be refused.",
    async run(bench) {
      const labels = ["a.b", "a_b", "a-b", "a.", "a..b", "UPPER", "opts.json"];
      for (const Name of [...labels.map((label) => bench.name(label)), bench.longestName()]) {
        const { error } = await bench.call("Create", { Name, Opts: bench.options });
        if (error !== undefined) await mustDeny(bench, Name);
        else equal((await mustTell(bench, Name))["Name"], Name);
      }
    },
  },
  {
    promise: "Two names MUST be two volumes, also where they differ in case only.",
    async run(bench) {
      const lower = await create(bench, "case");
      const Name = bench.name("CASE");
      const { error } = await bench.call("Create", { Name, Opts: bench.options });
      if (error !== undefined) return;
      if (seesData(bench)) {
        await writeInto(bench, lower, "lower");
        await mustHold(bench, Name, undefined);
      }
      await bench.succeed("Remove", { Name });
      notEqual(await found(bench, lower), undefined, "the other one went with it");
    },
  },
];

export const pluginVolumeAdvice: readonly Check<PluginBench>[] = [
  {
    promise: "`CreatedAt` SHOULD stay as it is for as long as the volume exists.",
    async run(bench) {
      const name = await create(bench, "dated-twice");
      const { CreatedAt: first } = await mustTell(bench, name);
      await bench.succeed("Mount", { Name: name, ID: bench.ids.first });
      await bench.succeed("Unmount", { Name: name, ID: bench.ids.first });
      equal((await mustTell(bench, name))["CreatedAt"], first, "CreatedAt after a mount");
    },
  },
];

async function listed(bench: PluginBench): Promise<readonly PluginObject[]> {
  const { Volumes: volumes } = await bench.succeed("List");
  // Go writes a list without items as null.
  if (volumes === null || volumes === undefined) return [];
  ok(Array.isArray(volumes), "Volumes must be a list");
  return volumes;
}
