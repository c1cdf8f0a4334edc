// Checks of a plugin's answers: their form, whatever they are about.
import { equal, fail, ok } from "node:assert/strict";
import type { Check } from "./check.ts";
import type { PluginAnswer, PluginBench } from "./plugin-bench.ts";
import { found } from "./plugin-bench.ts";

/** How many calls come at the same time. */
const parallelCount = 8;

export const pluginAnswerChecks: readonly Check<PluginBench>[] = [
  {
    promise: "`Plugin.Activate` MUST answer an `Implements` list that has `VolumeDriver`.",
    async run(bench) {
      const { status, object, body } = await bench.send({ method: "Plugin.Activate", body: "" });
      equal(status, 200, `the status of Plugin.Activate, with ${body.slice(0, 200)}`);
      const list = object?.["Implements"];
      ok(Array.isArray(list), `Implements must be a list: ${body.slice(0, 200)}`);
      ok(list.includes("VolumeDriver"), `VolumeDriver must be in it: ${body.slice(0, 200)}`);
    },
  },
  {
    promise: "The content type of a request MUST NOT matter.",
    async run(bench) {
      const name = bench.name("typed");
      await bench.succeed("Create", { Name: name, Opts: bench.options });
      const body = `${JSON.stringify({ Name: name })}\n`;
      for (const contentType of [undefined, "application/json", "text/plain"]) {
        const request = { method: "VolumeDriver.Get", body, contentType };
        const { error } = await bench.send(request);
        equal(error, undefined, `Get with the content type ${contentType ?? "of none"}`);
      }
    },
  },
  {
    promise: "An answer of status 200 MUST be a JSON object.",
    async run(bench) {
      const { first: ID } = bench.ids;
      const Name = bench.name("answered");
      const calls = [
        ["Create", { Name, Opts: bench.options }],
        ["Get", { Name }],
        ["List", {}],
        ["Path", { Name }],
        ["Capabilities", {}],
        ["Mount", { Name, ID }],
        ["Unmount", { Name, ID }],
        ["Remove", { Name }],
      ] as const;
      for (const [method, body] of calls) mustBeObject(method, await bench.call(method, body));
    },
  },
  {
    promise: "A failure MUST be told by a text in `Err` or by a status from 400 on.",
    async run(bench) {
      const Name = bench.name("never-created");
      const answer = await bench.call("Mount", { Name, ID: bench.ids.first });
      const told = answer.object?.["Err"];
      const isText = told === undefined || typeof told === "string";
      ok(isText, `Err must be a text: ${answer.body.slice(0, 200)}`);
      ok(
        answer.error !== undefined,
        `Mount of nothing is no failure: ${answer.body.slice(0, 200)}`,
      );
      ok(answer.status === 200 || answer.status >= 400, `the status is ${answer.status}`);
    },
  },
  {
    promise: "A call that the plugin does not know MUST be answered all the same.",
    async run(bench) {
      await bench.call("HoldfastVerifyUnknown");
      await mustLive(bench);
    },
  },
  {
    promise: "A body that makes no sense MUST be answered, and MUST NOT end the plugin.",
    async run(bench) {
      for (const body of ["", "{", "[]", '"text"', "null", '{"Name":7}']) {
        await bench.send({ method: "VolumeDriver.Get", body });
      }
      await mustLive(bench);
    },
  },
  {
    promise: "Calls that come at the same time MUST all be answered.",
    async run(bench) {
      const names = Array.from({ length: parallelCount }, (_, at) => bench.name(`parallel-${at}`));
      await Promise.all(
        names.map((Name) => bench.succeed("Create", { Name, Opts: bench.options })),
      );
      const seen = await Promise.all(names.map((name) => found(bench, name)));
      equal(seen.filter((volume) => volume === undefined).length, 0, "volumes that Get denies");
      await Promise.all(names.map((Name) => bench.succeed("Remove", { Name })));
    },
  },
];

function mustBeObject(method: string, { status, object, body }: PluginAnswer): void {
  if (status === 200 && object === undefined) fail(`${method} answers ${body.slice(0, 200)}`);
}

async function mustLive(bench: PluginBench): Promise<void> {
  const { status } = await bench.send({ method: "Plugin.Activate", body: "" });
  equal(status, 200, "Plugin.Activate afterwards");
}
