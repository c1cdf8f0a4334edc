// The guard against conflicting writers with a real dockerd and podman: who is told of, who not.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { type EventMessage, EventStream, parseEvent } from "../docker/event-stream.ts";
import { eventually } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { podmanRunArguments } from "../support/podman.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 120_000;
/** A look at holds, a read of the queue, and the machine's other work. */
const noticeMs = 20_000;

/** Writes a file again and again, in one process. */
const writing = (file: string): string => `while :; do echo x >> ${file}; sleep 0.05; done`;

interface Answer {
  readonly conflicts: readonly {
    readonly at: string;
    readonly file: string;
    readonly writers: readonly {
      readonly container: string | null;
      readonly name: string;
      readonly program: string | null;
    }[];
    readonly what: string;
  }[];
  readonly watching: { readonly state: string; readonly reason: string | null };
  readonly blind: readonly string[];
}

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterEach(async () => await bench?.removeAll(), startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

/** A container with a volume at /data, whose first process is a shell with this script. */
async function runShell(name: string, volume: string, script: string): Promise<string> {
  const place = ["--name", name, "--network", "none", "--init=false", "--stop-signal", "KILL"];
  const words = ["-v", volume, testImage, "sh", "-c", script];
  return await bench.docker("run", "-d", ...place, ...words);
}

async function own<T>(path: string): Promise<T> {
  const answer = await fetch(`http://holdfast${path}`, { unix: bench.daemon.socketPath });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T; // The contract of that route.
}

async function conflictsOf(volume: string, query = ""): Promise<Answer> {
  return await own<Answer>(`/holdfast/v1/volumes/${volume}/conflicts${query}`);
}

/** Waits until so many conflicts are told of. */
async function untilTold(volume: string, count: number): Promise<Answer> {
  let seen: Answer | undefined;
  return await eventually(
    async () => {
      seen = await conflictsOf(volume);
      return seen.conflicts.length >= count ? seen : undefined;
    },
    {
      timeoutMs: noticeMs,
      otherwise: () => `${volume}: ${JSON.stringify(seen)}\n${bench.daemon.output()}`,
    },
  );
}

async function untilWatching(volume: string, state: string): Promise<Answer> {
  let seen: Answer | undefined;
  return await eventually(
    async () => {
      seen = await conflictsOf(volume);
      return seen.watching.state === state ? seen : undefined;
    },
    { timeoutMs: noticeMs, otherwise: () => `${volume}: ${JSON.stringify(seen?.watching)}` },
  );
}

async function figure(name: string): Promise<number> {
  const answer = await fetch("http://holdfast/metrics", { unix: bench.daemon.socketPath });
  const line = (await answer.text()).split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}

describe("two containers that write one file", () => {
  when("are told of with file, names, programs and times, on every face", async () => {
    await bench.createVolume("assets");
    using events = await EventStream.open(bench.daemon.socketPath);
    const web = await runShell("shop-web-1", "assets:/data", writing("/data/index"));
    const job = await runShell("shop-job-1", "assets:/data", writing("/data/index"));
    const { conflicts, watching, blind } = await untilTold("assets", 1);
    const [conflict] = conflicts;
    expect(conflict).toMatchObject({ file: "/index", what: "both wrote it within 2 s" });
    expect(conflict?.writers.toSorted((one, other) => (one.name < other.name ? 1 : -1))).toEqual([
      { container: web, name: "shop-web-1", program: "sh" },
      { container: job, name: "shop-job-1", program: "sh" },
    ]);
    expect(Date.now() - Date.parse(conflict?.at ?? "")).toBeLessThan(noticeMs);
    expect(watching).toEqual({ state: "yes", reason: null });
    expect(blind.join()).toContain("mmap");
    await expectEvent(events, [web, job]);
    expect((await bench.volume("assets")).state).toBe("conflict");
    expect(await figure("holdfast_write_conflicts_total")).toBe(1);
    expect(await figure("holdfast_watched_mounts")).toBe(2);
    await expectWords();
    await bench.docker("rm", "-f", "shop-job-1");
    await untilWatching("assets", "no");
    expect(await figure("holdfast_watched_mounts")).toBe(0);
    await bench.docker("rm", "-f", "shop-web-1");
    // Nothing of the guard is in the way of an end.
    await bench.docker("volume", "rm", "assets");
  });

  async function expectEvent(events: EventStream, containers: readonly string[]): Promise<void> {
    const isConflict = (line: string) => parseEvent(line).Action === "conflict";
    expect(await events.lineOrEnd(isConflict)).toBe(true);
    const event: EventMessage = parseEvent(events.lines.find(isConflict) ?? "{}");
    const { Attributes } = event.Actor;
    expect(event.Actor.ID).toBe("assets");
    expect(Attributes).toMatchObject({ driver: "local", file: "/index", programs: "sh,sh" });
    expect(Attributes["containers"]?.split(",").toSorted()).toEqual(containers.toSorted());
  }

  async function expectWords(): Promise<void> {
    const { stdout, exit } = await bench.holdfast("volume", "conflicts", "assets");
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^TIME +FILE +WRITERS +WHAT\n/);
    expect(stdout).toMatch(
      /Z +\/index +shop-\w+-1 \(sh\), shop-\w+-1 \(sh\) +both wrote it within/,
    );
    expect(stdout).toContain("Watched now. Never seen are:\n  writes through memory maps (mmap)\n");
    const format = "{{.File}} {{.Writers}}";
    const lines = await bench.holdfast("volume", "conflicts", "assets", "--format", format);
    expect(lines.stdout).toMatch(/^\/index shop-\w+-1 \(sh\), shop-\w+-1 \(sh\)\n$/);
    const none = await bench.holdfast("volume", "conflicts", "assets", "--since", "0s", "--json");
    expect(JSON.parse(none.stdout)).toMatchObject({ watching: { state: "yes" } });
    const info = await bench.holdfast("info");
    expect(info.stdout + info.stderr).toContain("wrote /index; see `holdfast volume conflicts");
    const history = await bench.holdfast("volume", "history", "assets");
    expect(history.stdout).toMatch(
      /conflict +holdfast +\/index: shop-\w+-1@[0-9a-f]{12} \(sh\), shop-\w+-1@/,
    );
  }

  when("by different processes of one, and appending to one log", async () => {
    await bench.createVolume("logs");
    await runShell("one", "logs:/data", "sleep 1000");
    await runShell("two", "logs:/data", "sleep 1000");
    await untilWatching("logs", "yes");
    const write = "echo x >> /data/app.log";
    await bench.docker("exec", "one", "sh", "-c", write);
    await bench.docker("exec", "one", "sh", "-c", write);
    await bench.docker("exec", "two", "sh", "-c", write);
    const [conflict] = (await untilTold("logs", 1)).conflicts;
    expect(conflict?.writers.map(({ name }) => name)).toEqual(["one", "two"]);
  });
});

describe("no alarm is raised by", () => {
  when("readers, a publisher, a log and its rotation, and many processes of one", async () => {
    await bench.createVolume("quiet");
    const publish = "i=0; while :; do i=$((i+1)); echo $i > /data/new; mv /data/new /data/page";
    await runShell("publisher", "quiet:/data", `${publish}; sleep 0.02; done`);
    const log = "i=0; while :; do i=$((i+1)); echo $i >> /data/log; sleep 0.01";
    const rotate = "[ $((i % 20)) = 0 ] && mv /data/log /data/log.1";
    await runShell("logger", "quiet:/data", `${log}; ${rotate}; done`);
    const read = "cat /data/log /data/log.1 /data/page /data/base > /dev/null 2>&1";
    await runShell("shipper", "quiet:/data", `while :; do ${read}; sleep 0.02; done`);
    await runShell("web", "quiet:/data:ro", `while :; do ${read}; sleep 0.02; done`);
    const own = writing("/data/base");
    await runShell("database", "quiet:/data", `(${own}) & (${own}) & (${own}) & ${own}`);
    await untilWatching("quiet", "yes");
    // What is told of at last is this, and nothing that went before.
    await bench.docker("exec", "shipper", "sh", "-c", "sleep 3; echo x >> /data/base");
    const { conflicts } = await untilTold("quiet", 1);
    expect(conflicts.map(({ file }) => file)).toEqual(["/base"]);
    expect(conflicts[0]?.writers.map(({ name }) => name).toSorted()).toEqual([
      "database",
      "shipper",
    ]);
  });

  when("a volume with guard=off, until that is changed", async () => {
    await bench.createVolume("off", "guard=off");
    await runShell("one", "off:/data", writing("/data/x"));
    await runShell("two", "off:/data", writing("/data/x"));
    await bench.holders("off", "one running rw", "two running rw");
    expect((await conflictsOf("off")).watching).toEqual({ state: "no", reason: "guard=off" });
    expect(await figure("holdfast_watched_mounts")).toBe(0);
    await bench.holdfast("volume", "update", "off", "--opt-rm", "guard");
    await untilTold("off", 1);
    await bench.holdfast("volume", "update", "off", "-o", "guard=off");
    expect(await figure("holdfast_watched_mounts")).toBe(0);
    const refused = await bench.holdfast("volume", "update", "off", "-o", "guard=stop");
    expect(refused.stderr).toContain('"guard": "stop": one of off, warn is needed');
  });
});

describe("the guard goes on", () => {
  when("over stops and starts of containers, and of daemons, killed too", async () => {
    await bench.createVolume("lasting");
    for (const name of ["one", "two"]) {
      await runShell(name, "lasting:/data", `${writing("/data/$(cat /data/name)")}`);
    }
    const conflictIn = async (file: string): Promise<void> => {
      await untilWatching("lasting", "yes");
      await bench.docker("exec", "one", "sh", "-c", `echo ${file} > /data/name`);
      await eventually(
        async () => {
          const { conflicts } = await conflictsOf("lasting");
          return conflicts.some((conflict) => conflict.file === `/${file}`) ? true : undefined;
        },
        { timeoutMs: noticeMs, otherwise: () => `no ${file}\n${bench.daemon.output()}` },
      );
    };
    await conflictIn("first");
    await bench.docker("stop", "-t", "0", "two");
    await untilWatching("lasting", "no");
    await bench.docker("start", "two");
    await conflictIn("second");
    await bench.daemon.stop();
    await bench.startDaemon();
    // What the last life told of is still there.
    expect((await conflictsOf("lasting")).conflicts).toHaveLength(2);
    await bench.holders("lasting", "one running rw", "two running rw");
    expect((await bench.volume("lasting")).state).toBe("conflict");
    await conflictIn("third");
    await bench.daemon.kill();
    await bench.startDaemon();
    await conflictIn("fourth");
  });

  whenPossible(
    [...requirements, "podman"],
    "with containers of Podman",
    async () => {
      const podman = await bench.startPodman();
      await podman.succeed("volume", "create", "--driver", "holdfast", "pod");
      for (const name of ["p1", "p2"]) {
        const place = ["--detach", "--name", name, ...podmanRunArguments, "--volume", "pod:/data"];
        await podman.succeed("run", ...place, testImage, "sh", "-c", writing("/data/x"));
      }
      try {
        const [conflict] = (await untilTold("pod", 1)).conflicts;
        expect(conflict?.file).toBe("/x");
        expect(conflict?.writers.map(({ name }) => name).toSorted()).toEqual(["p1", "p2"]);
      } finally {
        await podman.run("rm", "--all", "--force", "--time=0");
      }
    },
    testMs,
  );
});
