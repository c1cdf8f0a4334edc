// The route of a volume's conflicts: whose they were, and how far back was looked.
import { describe, expect, test } from "bun:test";
import { type ApiBench, startedApi } from "../../../test/support/api-bench.ts";
import { containerWith, memoryEngine } from "../../../test/support/memory-engine.ts";
import type { HistoryAction } from "../../core/state-store.ts";
import { conflictLine, writerNamed } from "../../engine/guard/conflict-words.ts";
import { historyEntry } from "../../engine/history-entry.ts";
import { CONFLICTS_SPAN_COUNT } from "./conflict-contract.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const BATCH_COUNT = 250;
const [web, job] = ["a".repeat(64), "b".repeat(64)];

interface Answer {
  readonly conflicts: readonly {
    readonly at: string;
    readonly file: string;
    readonly writers: readonly object[];
  }[];
  readonly cut: string | null;
}

async function create(api: ApiBench, ...names: readonly string[]): Promise<void> {
  for (const Name of names) {
    expect((await api.send("POST", "/volumes/create", { body: { Name } })).status).toBe(201);
  }
}

/** A second later: so many changes of a volume at once. */
async function changes(
  { engine: bench }: ApiBench,
  name: string,
  { action, subject = "", count = 1 }: Change,
): Promise<void> {
  bench.nowMs += 1_000;
  const entry = bench.engine.volumes.inspect(name);
  const row = historyEntry(bench.host, { action, entry, subject }, bench.operation());
  // A batch that takes the state's reserve of room pays for it with old changes.
  for (let left = count; left > 0; left -= BATCH_COUNT) {
    await bench.state.write((transaction) => {
      for (let index = Math.min(left, BATCH_COUNT); index > 0; index--) transaction.addHistory(row);
    });
  }
}

interface Change {
  readonly action: HistoryAction;
  readonly subject?: string;
  readonly count?: number;
}

function conflictOf(file: string): Change {
  const writers = [writerNamed(web, "web", "sh"), writerNamed(job, "job", "")] as const;
  return { action: "conflict", subject: conflictLine({ file, writers }) };
}

async function shown(api: ApiBench, query = ""): Promise<Answer> {
  const answer = await api.send("GET", `${OWN_PREFIX}volumes/wiki/conflicts${query}`);
  expect(answer.status).toBe(200);
  return answer.json as Answer; // The contract of that route.
}

const filesOf = ({ conflicts }: Answer) => conflicts.map(({ file }) => file);

test("a container is known by its id: another one of its name is not taken for it", async () => {
  const docker = memoryEngine();
  await using api = await startedApi({ finder: docker.finder });
  await create(api, "wiki");
  const { engine } = api.engine;
  await engine.lists.noteCaller({ ...api.engine.operation(), caller: docker.caller });
  await changes(api, "wiki", conflictOf("/page"));
  docker.containers.push(containerWith("wiki", { id: web, name: "renamed" }));
  docker.containers.push(containerWith("wiki", { id: "c".repeat(64), name: "job" }));
  await engine.lists.ask(api.engine.operation());
  const { conflicts } = await shown(api);
  expect(conflicts[0]?.writers).toEqual([
    { container: web, name: "web", program: "sh" },
    { container: null, name: "job", program: null },
  ]);
  await changes(api, "wiki", { action: "conflict", subject: "/old: renamed (sh), job" });
  const [older] = (await shown(api)).conflicts;
  expect(older?.writers).toMatchObject([{ container: null }, { container: null }]);
});

describe("an answer says that it was cut", () => {
  test("where there are more than were wanted", async () => {
    await using api = await startedApi();
    await create(api, "wiki");
    for (const file of ["/1", "/2", "/3"]) await changes(api, "wiki", conflictOf(file));
    const all = await shown(api);
    expect([filesOf(all), all.cut]).toEqual([["/3", "/2", "/1"], null]);
    const two = await shown(api, "?count=2");
    expect([filesOf(two), two.cut]).toEqual([["/3", "/2"], two.conflicts[1]?.at ?? ""]);
    expect((await shown(api, "?count=3")).cut).toBeNull();
  });

  test("where too many changes of any volume lie in between to look at all", async () => {
    await using api = await startedApi();
    await create(api, "wiki", "other");
    await changes(api, "wiki", conflictOf("/old"));
    const afterOldMs = api.engine.nowMs + 1;
    await changes(api, "other", { action: "mount", count: CONFLICTS_SPAN_COUNT / 2 });
    expect(filesOf(await shown(api))).toEqual(["/old"]);
    await changes(api, "wiki", conflictOf("/new"));
    await changes(api, "other", { action: "mount", count: CONFLICTS_SPAN_COUNT });
    await changes(api, "wiki", conflictOf("/newest"));
    const cut = await shown(api);
    expect(filesOf(cut)).toEqual(["/newest"]);
    expect(Date.parse(cut.cut ?? "")).toBeGreaterThan(afterOldMs);
    // What is wanted is younger than what was not looked at.
    const since = await shown(api, `?since=${api.engine.nowMs / 1_000 - 0.5}`);
    expect([filesOf(since), since.cut]).toEqual([["/newest"], null]);
  });
});
