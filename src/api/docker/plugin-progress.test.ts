// The lines of progress streams, as dockerd wrote them when it was recorded.
import { expect, test } from "bun:test";
import { loadExchanges } from "../../../test/docker/recordings.ts";
import type { PluginProgress } from "../../core/plugin.ts";
import { failureLine, progressLine, progressText } from "./plugin-progress.ts";

/** Every line of every stream of the recordings. */
const recordedLines = (["06", "07", "13", "20", "21"] as const)
  .flatMap(loadExchanges)
  .filter(({ request }) => /\/plugins\/.*(pull|push|upgrade)/.test(request.path))
  .filter(({ answer }) => answer.status === 200)
  .flatMap(({ answer }) => answer.body.split("\r\n").filter((line) => line !== ""));

/** What must have been told for such a line. */
function progressOf(line: string): PluginProgress | string {
  const { status, id, progressDetail, aux, error } = JSON.parse(line);
  if (error !== undefined) return error;
  return {
    status: status ?? "",
    id,
    current: progressDetail?.current,
    total: progressDetail?.total,
    isOfLayer: progressDetail !== undefined,
    ...(aux === undefined ? {} : { aux: { tag: aux.Tag, digest: aux.Digest, size: aux.Size } }),
  };
}

test("every recorded line is written in the same bytes", () => {
  expect(recordedLines.length).toBeGreaterThan(90);
  for (const line of recordedLines) {
    const told = progressOf(line);
    const written = typeof told === "string" ? failureLine(told) : progressLine(told);
    expect(written).toBe(`${line}\r\n`);
  }
});

test("the bar and the sizes are those of Docker's", () => {
  const bar = (done: number) => `[${"=".repeat(done)}>${" ".repeat(50 - done)}]`;
  expect(progressText(0, 0)).toBe("");
  expect(progressText(0, 10)).toBe(`${bar(0)}       0B/10B`);
  expect(progressText(1_234_567, 3_000_000)).toBe(`${bar(20)}  1.235MB/3MB`);
  expect(progressText(999.96e6, 1e12)).toBe(`${bar(0)}   1000MB/1TB`);
  expect(progressText(1_500, 0)).toBe("   1.5kB");
  expect(progressText(20, 10)).toBe(`${bar(50)}      20B`);
});

test("what could end a line, or mark up a page, is escaped as Go does", () => {
  expect(failureLine("a<b>&\r\n\u2028")).toBe(
    '{"errorDetail":{"message":"a\\u003cb\\u003e\\u0026\\r\\n\\u2028"},' +
      '"error":"a\\u003cb\\u003e\\u0026\\r\\n\\u2028"}\r\n',
  );
});
