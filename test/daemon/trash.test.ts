// The trash by the command line on a real daemon: removed, back, protected, renamed, gone for good.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { descendants, eventually } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { runWords, type Surroundings, shellWords } from "../support/fake-daemon.ts";
import { whenPossible } from "../support/needs.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Run = (line: string, surroundings?: Surroundings) => ReturnType<typeof runWords>;

function runOn(daemon: RunningDaemon): Run {
  const host = `unix://${daemon.socketPath}`;
  return (line, surroundings = {}) =>
    runWords(shellWords(line), host, { nowMs: Date.now(), ...surroundings });
}

/** What a command line prints; it must not fail. */
async function printed(run: Run, line: string): Promise<string> {
  const { stdout, stderr, exit } = await run(line);
  expect([line, stderr, exit]).toEqual([line, "", 0]);
  return stdout;
}

const onTerminal = { isTerminal: true, env: { NO_COLOR: "1" } };

whenPossible(
  ["root"],
  "what was removed comes back, and is gone when its name was typed",
  async () => {
    await using daemon = await startDaemon({ root: join(folder, "root") });
    const run = runOn(daemon);
    const data = (name: string) => join(daemon.root, "volumes", name, "_data", "page");
    await printed(run, "volume create pgdata --label owner=kim");
    writeFileSync(data("pgdata"), "orders");
    const removal = await run("volume rm pgdata", onTerminal);
    expect(removal.stderr).toContain("holdfast trash restore pgdata");
    expect(await printed(run, "trash ls")).toMatch(
      /^ID .*PURGES\nt-[0-9a-f]{3} +pgdata +\S+ +Less than a second ago +\S+ +in 7 days\n$/,
    );
    await printed(run, "volume create pgdata");
    expect(existsSync(data("pgdata"))).toBe(false);
    const taken = await run("trash restore pgdata");
    expect([taken.exit, taken.stderr]).toEqual([4, expect.stringContaining("--as NAME")]);
    expect(await printed(run, "trash restore pgdata --as old")).toBe("old\n");
    expect(readFileSync(data("old"), "utf8")).toBe("orders");
    expect(await printed(run, "volume inspect -f {{.Labels.owner}} old")).toBe("kim\n");
    await printed(run, "volume rm old");
    const id = (await printed(run, "trash ls -q --no-trunc")).trim();
    expect((await run(`trash purge ${id}`, { ...onTerminal, input: "no" })).exit).toBe(2);
    const purged = await run(`trash purge --wait ${id}`, { ...onTerminal, input: "old" });
    expect([purged.stdout, purged.exit]).toEqual([`${id}\n`, 0]);
    expect(readdirSync(join(daemon.root, "trash"))).toEqual([]);
  },
);

whenPossible(["root"], "what destroys data ends with the daemon, also in its rests", async () => {
  const root = join(folder, "root");
  let daemon = await startDaemon({ root, environment: { HOLDFAST_TRASH: "off" } });
  await printed(runOn(daemon), "volume create build");
  for (let file = 0; file < 3_000; file++) {
    writeFileSync(join(root, "volumes", "build", "_data", String(file)), "");
  }
  await printed(runOn(daemon), "volume rm build");
  const [rm = 0] = await eventually(
    async () => {
      const found = (await descendants(daemon.pid)).filter((pid) => stateOf(pid) === "T");
      return found.length > 0 ? found : undefined;
    },
    { timeoutMs: 10_000, otherwise: () => "nothing rests" },
  );
  await daemon.kill();
  await eventually(async () => (existsSync(`/proc/${rm}`) ? undefined : true), {
    timeoutMs: 5_000,
    otherwise: () => `process ${rm} is left in state ${stateOf(rm)}`,
  });
  daemon = await startDaemon({ root });
  await using _daemon = daemon;
  await printed(runOn(daemon), "trash purge build --yes --wait");
  expect(readdirSync(join(root, "trash"))).toEqual([]);
});

/** As /proc has it: "T" is stopped. */
function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).charAt(0);
  } catch {
    return "";
  }
}

whenPossible(["root"], "protection, a new name, a plan and the history hold together", async () => {
  await using daemon = await startDaemon({ root: join(folder, "root") });
  const run = runOn(daemon);
  await printed(run, "volume create wiki");
  await printed(run, "volume create ci");
  await printed(run, 'volume protect wiki --reason "prod orders"');
  const refused = await run("volume rm -f wiki");
  expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining("prod orders")]);
  expect((await run("volume rename wiki data")).exit).toBe(4);
  const plan = await printed(run, "volume prune --plan --all");
  expect(plan).toContain("\nKEPT      WHY\nwiki      protected: prod orders\n");
  const [, id = ""] = /--apply (p-[0-9a-f]+)\n$/.exec(plan) ?? [];
  expect(await printed(run, `volume prune --apply ${id}`)).toBe("ci\n");
  expect((await run(`volume prune --apply ${id}`)).exit).toBe(3);
  await run("volume unprotect wiki", { ...onTerminal, input: "wiki" });
  expect(await printed(run, "volume rename wiki data --keep-alias")).toBe("data\n");
  await printed(run, 'volume update wiki --label-add owner=kim --note "orders db"');
  const history = (await printed(run, "volume history data")).split("\n");
  expect(history.slice(1, 4).map((line) => line.split(/ +/)[1])).toEqual([
    "update",
    "rename",
    "unprotect",
  ]);
  const changes = await printed(run, "events --since c-0 --until 0m");
  const [, cursor = ""] = /^(c-\d+) .* rename data by /m.exec(changes) ?? [];
  const later = await printed(run, `events --since ${cursor} --until 0m`);
  expect(later.split("\n").map((line) => line.split(" ")[2])).toEqual(["update", undefined]);
});

test("the metrics are there for whoever may use the socket", async () => {
  await using daemon = await startDaemon({ root: join(folder, "root") });
  const answer = await fetch("http://holdfast/metrics", { unix: daemon.socketPath });
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('\nholdfast_volumes{driver="local"} 0\n');
});
