// Storage that is mounted and silent, dead or well, before an engine is sent there.
import { expect, test } from "bun:test";
import { IllBench } from "../../../test/support/ill-bench.ts";
import { EngineError } from "../../core/errors.ts";
import { parseHolderId } from "../../core/names.ts";
import { mustAnswer } from "./must-answer.ts";

interface Asked {
  readonly isMounted?: boolean;
  readonly answers?: readonly (EngineError | number)[];
}

/** What is thrown, and how often the storage was asked. */
async function outcome({ isMounted = true, answers = [1] }: Asked) {
  await using bench = new IllBench();
  await bench.start();
  await bench.add("10.0.0.5", ["media"]);
  const entry = bench.volumes.inspect("media");
  const driver = bench.engines.engine.drivers.get(entry.driver);
  let count = 0;
  const host = {
    isMountPoint: () => isMounted,
    async askStorage() {
      const answer = answers[count] ?? 1;
      count += 1;
      if (typeof answer === "number") {
        return { tookMs: answer, space: undefined, isWritable: undefined };
      }
      throw answer;
    },
  };
  const asked = mustAnswer({ host, driver }, entry, bench.engines.operation());
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => (thrown instanceof EngineError ? thrown : undefined),
  );
  await bench.volumes.unmount("media", parseHolderId("c1"), bench.engines.operation());
  return { code: error?.code, message: error?.message, count };
}

const failed = (isGone: boolean) =>
  new EngineError("storage.failed", "Input/output error", { details: { isGone } });
const busy = new EngineError("driver.timed_out", "an earlier stat has not ended yet");

test("what answers, or is not mounted yet, is handed on", async () => {
  expect(await outcome({})).toMatchObject({ code: undefined, count: 1 });
  expect(await outcome({ isMounted: false })).toMatchObject({ code: undefined, count: 0 });
  expect(await outcome({ answers: [busy, busy, 1] })).toMatchObject({ code: undefined, count: 3 });
});

test("what does not answer is refused with its server, and what is dead is mended", async () => {
  const refused = await outcome({ answers: [failed(false)] });
  expect(refused.code).toBe("remote.unreachable");
  expect(refused.message).toContain("10.0.0.5");
  expect(await outcome({ answers: [failed(true)] })).toMatchObject({ code: undefined, count: 1 });
});
