// The helper's frame and its other side, over real processes and a real file system that is stuck.
import { expect, test } from "bun:test";
import { eventually } from "../../test/support/child.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { testOperation } from "../../test/support/operation.ts";
import { EngineError } from "../core/errors.ts";
import { linuxHost } from "./linux.ts";
import { ownExecutable } from "./own-executable.ts";
import { makeStuckFolder } from "./stuck-folder.fixture.ts";

const fixture = new URL("./assist.fixture.ts", import.meta.url).pathname;
const host = linuxHost({ executable: () => [process.execPath, fixture] });

function assist(input: unknown, signal?: AbortSignal, told?: (line: unknown) => void) {
  const request = { command: "storage-step", directory: "/nowhere", input, told } as const;
  return host.assist(request, { ...testOperation(), ...(signal && { signal }) });
}

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof EngineError) return thrown;
  throw new Error("did not fail as expected", { cause: thrown });
}

test("a result comes whole, and what is told before it is heard", async () => {
  const told: unknown[] = [];
  const size = 300_000;
  const result = await assist({ size }, undefined, (line) => told.push(line));
  expect(result).toEqual({ directory: "/nowhere", text: "ä".repeat(size) });
  expect(told).toEqual([{ step: 1 }, { step: 2 }]);
});

test("errors keep their code and details; bugs and deaths are told apart", async () => {
  const known = await failure(assist({ fail: "engine" }));
  expect(known).toMatchObject({ code: "remote.not_found", message: "no such share" });
  expect(known.details).toEqual({ share: "x" });
  expect(await failure(assist({ fail: "bug" }))).toMatchObject({ code: "internal.bug" });
  const died = await failure(assist({ fail: "death" }));
  expect(died).toMatchObject({ code: "storage.failed", details: { exitCode: 137 } });
});

test("when memory runs out it is the first to go", async () => {
  expect(await assist({ score: true })).toBe("1000\n");
});

test("our own executable knows no helper of another name", async () => {
  const executable = () => ownExecutable("assist", "no-such-helper");
  const { assist: run } = linuxHost({ executable });
  const request = { command: "storage-step", directory: "/", input: {} } as const;
  expect((await failure(run(request, testOperation()))).code).toBe("storage.failed");
});

whenPossible(["root", "mount", "fuse"], "a stuck one is abandoned, and the only one", async () => {
  await using stuck = await makeStuckFolder();
  const controller = new AbortController();
  const waiting = assist({ wait: `${stuck.path}/x` }, controller.signal);
  await stuck.untilAsked();
  controller.abort();
  expect((await failure(waiting)).code).toBe("operation.cancelled");
  const refused = await failure(assist({}));
  expect(refused.code).toBe("driver.timed_out");
  expect(refused.message).toContain("an earlier helper storage-step");
  stuck.release();
  await eventually(() => assist({}).catch(() => undefined), {
    timeoutMs: 10_000,
    otherwise: () => "the directory stayed closed",
  });
});
