// What every face says of storage that has fallen silent: at once, and without asking it.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../test/support/api-bench.ts";
import { eventually } from "../../test/support/child.ts";
import { IllBench } from "../../test/support/ill-bench.ts";
import { silent } from "../../test/support/ill-storage.ts";
import { OWN_PREFIX } from "./holdfast/route-contract.ts";

interface Answers {
  readonly bench: IllBench;
  readonly api: ApiBench;
}

async function withSilence(): Promise<Answers> {
  const bench = new IllBench();
  const api = await startedApi({ bench: bench.engines });
  await bench.add("10.0.0.5", ["media"]);
  await bench.pass(16_000);
  bench.ill.servers.set("10.0.0.5", silent);
  await bench.pass(20_000);
  return { bench, api };
}

const storage = {
  origin: "adopted",
  state: "unreachable",
  reason: "timed out",
  server: "10.0.0.5",
  tookMs: null,
  unsaved: null,
  space: null,
  mustRestart: [],
};

describe("storage that does not answer", () => {
  test("is in both lists and both inspects, the metrics and the warnings", async () => {
    const { bench, api } = await withSilence();
    await using _bench = bench;
    bench.ill.calls.splice(0);
    const inspected = await api.send("GET", "/volumes/media");
    expect(inspected.json).toMatchObject({ Status: { state: "unreachable", storage } });
    const own = await api.send("GET", `${OWN_PREFIX}volumes`);
    expect(own.json).toMatchObject({
      volumes: [{ origin: "adopted", state: "unreachable", stateReason: "timed out", storage }],
    });
    expect((await api.send("GET", "/volumes")).status).toBe(200);
    const { body } = await api.send("GET", "/metrics");
    expect(body).toContain('holdfast_storage_state{driver="ill",state="unreachable"} 1');
    expect(body).toContain('holdfast_storage_state{driver="ill",state="ready"} 0');
    expect(body).toContain('holdfast_storage_checks_total{driver="ill",state="unreachable"}');
    expect(body).toContain("# TYPE holdfast_storage_check_seconds histogram");
    const took = "holdfast_storage_check_seconds";
    // Answers of 1 ms; silence is none.
    for (const end of ["0.005", "5", "+Inf"]) {
      expect(body).toContain(`${took}_bucket{le="${end}",driver="ill"} 1\n`);
    }
    expect(body).toContain(`${took}_sum{driver="ill"} 0.001`);
    expect(body).toContain(`${took}_count{driver="ill"} 1`);
    expect(body).toContain('holdfast_volume_state{state="unreachable"} 1');
    const { json } = await api.send("GET", `${OWN_PREFIX}health`);
    const warnings = ["Storage on 10.0.0.5 is unreachable: media."];
    expect(json).toMatchObject({ warnings });
    // Nobody has asked it for any of that.
    expect(bench.ill.calls).toEqual([]);
  });

  test("is told of by events with the server and the reason", async () => {
    const { bench, api } = await withSilence();
    await using _bench = bench;
    const span = "since=1970-01-01T00:00:00Z&filters=%7B%22event%22%3A%5B%22degraded%22%5D%7D";
    const events = await api.follow(`/events?${span}`);
    const [line = "{}"] = events.lines;
    expect(JSON.parse(line)).toMatchObject({
      Action: "degraded",
      Actor: { ID: "media", Attributes: { state: "unreachable", server: "10.0.0.5" } },
    });
    events.leave();
  });
});

test("the doctor refuses what does not answer at once, with the reason", async () => {
  const { bench, api } = await withSilence();
  await using _bench = bench;
  bench.ill.calls.splice(0);
  const answer = await api.follow(`${OWN_PREFIX}volumes/media/doctor`, "POST");
  await eventually(() => (answer.hasEnded() ? true : undefined), {
    timeoutMs: 2_000,
    otherwise: () => JSON.stringify(answer.lines),
  });
  expect(answer.lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      error: "volume media: the storage on 10.0.0.5 does not answer (timed out)",
      code: "remote.unreachable",
    },
  ]);
  expect(bench.ill.calls).toEqual([]);
});

describe("a flush", () => {
  test("answers a line for what is left, and one for the end", async () => {
    await using bench = new IllBench();
    const api = await startedApi({ bench: bench.engines });
    await bench.add("10.0.0.5", ["media"]);
    bench.ill.unsaved = [300, 100];
    const flush = await api.follow(`${OWN_PREFIX}volumes/media/flush`, "POST");
    await eventually(() => (flush.hasEnded() ? true : undefined), {
      timeoutMs: 2_000,
      otherwise: () => JSON.stringify(flush.lines),
    });
    const ready = { state: "ready", reason: null };
    expect(flush.lines.map((line) => JSON.parse(line))).toEqual([
      { files: 1, bytes: 300, ...ready },
      { files: 1, bytes: 100, ...ready },
      { files: 0, bytes: 0, ...ready },
    ]);
    const missing = await api.send("POST", `${OWN_PREFIX}volumes/nobody/flush`);
    expect(missing.status).toBe(404);
  });

  test("says with each line what is wrong with the storage", async () => {
    const { bench, api } = await withSilence();
    await using _bench = bench;
    bench.ill.unsaved = [300];
    const flush = await api.follow(`${OWN_PREFIX}volumes/media/flush`, "POST");
    await eventually(() => (flush.hasEnded() ? true : undefined), {
      timeoutMs: 2_000,
      otherwise: () => JSON.stringify(flush.lines),
    });
    const line = { files: 1, bytes: 300, state: "unreachable", reason: "timed out" };
    expect(JSON.parse(flush.lines[0] ?? "{}")).toEqual(line);
  });
});
