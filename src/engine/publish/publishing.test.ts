// Publishing through the engine: one at a time, written down, and given up with storage or client.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, failureOf, named, startedEngine } from "../../../test/support/engine-bench.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import { tarOf } from "../../../test/support/tar-maker.ts";
import { EngineError } from "../../core/errors.ts";
import type { AssistRequest, Host } from "../../core/host.ts";
import { parseVolumeName } from "../../core/names.ts";
import { PublishWatch } from "./publish-watch.ts";
import { guaranteeWords } from "./publish-words.ts";
import type { PublishRequest } from "./publishing.ts";

const www: PublishRequest = { volume: "site", path: "/www", keep: 1, allowGap: false };

async function* pieces(...all: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all;
}

const archive = (text: string) => pieces(tarOf({ name: "which", data: text }));

function when(name: string, run: () => Promise<void>): void {
  whenPossible(["root", "mount"], name, run);
}

type Bench = Awaited<ReturnType<typeof startedEngine>>;
const dataOf = (bench: Bench) => join(bench.volumePath("site"), "_data");
const seen = (bench: Bench) => readFileSync(join(dataOf(bench), "www/which"), "utf8");

async function benchWithSite(change: (host: Host) => Host = (host) => host): Promise<Bench> {
  const bench = await startedEngine({ host: change });
  await create(bench, named("site"));
  return bench;
}

when("is an event and a line of the history, and so is a roll-back", async () => {
  await using bench = await benchWithSite();
  const { publishing, history, state } = bench.engine;
  await publishing.publish(www, archive("1"), bench.operation());
  const done = await publishing.publish(www, archive("2"), bench.operation());
  expect(done).toMatchObject({ volume: "site", path: "/www", method: "exchange", kept: 1 });
  expect(done.tree).toMatchObject({ files: 1, bytes: 1 });
  await publishing.rollBack(www, bench.operation());
  expect(seen(bench)).toBe("1");
  const told = bench.events.filter(({ action }) => action === "publish");
  const driver = "local";
  expect(told.map(({ attributes }) => attributes)).toEqual([
    { driver, path: "/www" },
    { driver, path: "/www" },
    { driver, path: "/www", rollback: "true" },
  ]);
  const { entries } = await history.of("site", { countMax: 100 }, bench.operation());
  const lines = entries.filter(({ action }) => action === "publish");
  expect(lines.map(({ subject }) => subject)).toEqual(["/www, rolled back", "/www", "/www"]);
  expect(
    state.read((view) => [...view.volumes()].flatMap((each) => view.holders(each.name))),
  ).toEqual([]);
});

when("one at a time: whoever comes meanwhile waits", async () => {
  await using bench = await benchWithSite();
  const { publishing } = bench.engine;
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const whole = tarOf({ name: "which", data: "1" });
  async function* slowly(): AsyncGenerator<Uint8Array> {
    yield whole.subarray(0, 512);
    begin();
    await gate;
    yield whole.subarray(512);
  }
  const order: string[] = [];
  const first = publishing.publish(www, slowly(), bench.operation()).then(() => order.push("1"));
  await begun;
  const second = publishing
    .publish({ ...www, path: "/other" }, archive("2"), bench.operation())
    .then(() => order.push("2"));
  open();
  await Promise.all([first, second]);
  expect(order).toEqual(["1", "2"]);
  expect(readdirSync(dataOf(bench)).sort()).toEqual(["other", "www"]);
});

describe("changes nothing", () => {
  when("when the archive breaks off, with its own error", async () => {
    await using bench = await benchWithSite();
    const { publishing } = bench.engine;
    await publishing.publish(www, archive("1"), bench.operation());
    const gone = new EngineError("operation.cancelled", "the client has gone");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield tarOf({ name: "which", data: "2" });
      throw gone;
    }
    expect(await failureOf(publishing.publish(www, broken(), bench.operation()))).toBe(gone);
    expect([seen(bench), readdirSync(dataOf(bench))]).toEqual(["1", ["www"]]);
  });

  for (const command of ["publish-step", "publish-unpack"] as const) {
    when(`when the helper ${command} is killed`, async () => {
      let isFailing = false;
      const kill = (host: Host): Host => ({
        ...host,
        assist(request: AssistRequest, operation) {
          const isIt = isFailing && request.command === command;
          const died = new EngineError("storage.failed", "the helper was killed");
          if (isIt) isFailing = false;
          return isIt ? Promise.reject(died) : host.assist(request, operation);
        },
      });
      await using bench = await benchWithSite(kill);
      const { publishing } = bench.engine;
      await publishing.publish(www, archive("1"), bench.operation());
      isFailing = true;
      const failure = await failureOf(publishing.publish(www, archive("2"), bench.operation()));
      expect(failure.code).toBe("storage.failed");
      expect([seen(bench), readdirSync(dataOf(bench))]).toEqual(["1", ["www"]]);
    });
  }

  when("for a volume that is not there, or too many to keep", async () => {
    await using bench = await benchWithSite();
    const { publishing } = bench.engine;
    const asked = (request: Partial<PublishRequest>) =>
      failureOf(publishing.publish({ ...www, ...request }, archive("1"), bench.operation()));
    expect((await asked({ volume: "no" })).code).toBe("volume.not_found");
    expect((await asked({ keep: 101 })).code).toBe("request.invalid");
    expect((await asked({ keep: -1 })).code).toBe("request.invalid");
    expect((await asked({ path: "/" })).code).toBe("publish.path_invalid");
    expect(readdirSync(dataOf(bench))).toEqual([]);
  });
});

test("storage that is silent is given up", async () => {
  using watch = new PublishWatch(parseVolumeName("site"));
  watch.busy(1);
  await new Promise((resolve) => watch.signal.addEventListener("abort", resolve, { once: true }));
  expect(watch.signal.reason).toMatchObject({ code: "driver.timed_out" });
});

test("a client that is slow is not: only what was handed on counts", async () => {
  using watch = new PublishWatch(parseVolumeName("site"));
  const around = watch.around(pieces(new Uint8Array(1)));
  watch.busy(1);
  // Asking for the next piece means that the storage has done with what it had.
  await around.next();
  watch.busy(60_000);
  const next = around.next();
  expect(await next).toMatchObject({ done: true });
  expect(watch.signal.aborted).toBe(false);
});

test("the guarantee says what happened, where, and who may see it later", () => {
  const words = (method: "exchange" | "gap", isRemote: boolean) =>
    guaranteeWords({ method, fileSystem: "nfs4", isRemote });
  expect(words("exchange", false)).toBe(
    "readers see the old tree or the new one: exchanged in one step (nfs4)",
  );
  expect(words("gap", true)).toStartWith("readers found nothing for a moment");
  expect(words("gap", true)).toEndWith("; other machines see it when their caches have run out");
});
