// Sharing modes with a real dockerd: what is refused at once, what is stopped, what goes on.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { STOP_SECONDS } from "../../src/core/container-engine.ts";
import { type EventMessage, EventStream, parseEvent } from "../docker/event-stream.ts";
import { eventually } from "../support/child.ts";
import { HOLD_GRACE_MS, HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 120_000;
const roundCount = 10;

/** From the start of a container that breaks a mode until it is told to stop. Measured: 0.05 s. */
const noticeMsMax = 2_000;

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

/** Waits for the end of a container. How long it ran by dockerd's clock, in milliseconds. */
async function ranForMs(name: string): Promise<number> {
  const format = "{{.State.Running}} {{.State.StartedAt}} {{.State.FinishedAt}}";
  return await eventually(
    async () => {
      const [isRunning, from, to] = (await bench.docker("inspect", "-f", format, name)).split(" ");
      return isRunning === "false" ? Date.parse(to ?? "") - Date.parse(from ?? "") : undefined;
    },
    { timeoutMs: 30_000, otherwise: () => `${name} is not stopped\n${bench.daemon.output()}` },
  );
}

/** The first violation that the stream shows. */
async function violation(events: EventStream): Promise<EventMessage> {
  const isViolation = (line: string) => parseEvent(line).Action === "violation";
  expect(await events.lineOrEnd(isViolation)).toBe(true);
  return parseEvent(events.lines.find(isViolation) ?? "{}");
}

async function untilState(volume: string, state: string): Promise<void> {
  let seen = "";
  await eventually(
    async () => {
      // It may not be there yet.
      seen = await bench.volume(volume).then(
        (found) => found.state,
        () => "nothing",
      );
      return seen === state ? true : undefined;
    },
    { timeoutMs: 10_000, otherwise: () => `${volume} is ${seen}` },
  );
}

describe("sharing=all", () => {
  when("lets many write", async () => {
    await bench.createVolume("open", "sharing=all");
    await bench.run("all1", "-v", "open:/data");
    await bench.run("all2", "-v", "open:/data");
    await bench.holders("open", "all1 running rw", "all2 running rw");
    expect((await bench.volume("open")).state).toBe("in use");
  });
});

describe("sharing=none", () => {
  when("refuses a second container, and names who has it", async () => {
    await bench.createVolume("single", "sharing=none");
    await bench.run("one", "-v", "single:/data");
    for (const access of ["", ":ro"]) {
      const place = ["--name", "two", "--network", "none", "-v", `single:/data${access}`];
      const words = await bench.refused("run", "-d", ...place, testImage, "sleep", "1000");
      // The path is dockerd's: the last that it was given, if any.
      expect(words.split("\n")[0]?.replace(/ '[^']*'/, "")).toBe(
        "docker: Error response from daemon: error while mounting volume: volume single has " +
          "sharing=none and is in use by one. Stop that container, or wait for its end: " +
          "the volume allows one at a time.",
      );
      expect(await bench.running("one", "two")).toEqual(["one"]);
      if (access === "") await bench.remove("two");
    }
    await bench.remove("one");
    await bench.docker("start", "two");
    await bench.holders("single", "two running ro");
  });

  const targets = [
    ["with content at its place", "/seeded"],
    ["with an empty directory at its place", "/data"],
    ["with nothing at its place", "/new"],
  ] as const;
  for (const [index, [what, target]] of targets.entries()) {
    when(`creating others beside a running one goes on: an image ${what}`, async () => {
      const volume = `busy${index}`;
      await bench.createVolume(volume, "sharing=none");
      await bench.run("one", "-v", `${volume}:/elsewhere`);
      await bench.create("next", "-v", `${volume}:${target}`);
      // One that stands still, and one that was refused, are no reason to refuse a create.
      await bench.create("next2", "-v", `${volume}:${target}`);
      await bench.refused("start", "next2");
      await bench.create("next3", "-v", `${volume}:${target}`);
      await bench.refused("start", "next");
      expect(await bench.running("one", "next", "next2", "next3")).toEqual(["one"]);
      await bench.docker("stop", "-t", "0", "one");
      await bench.docker("start", "next");
      await bench.refused("start", "one");
      expect(await bench.running("one", "next", "next2", "next3")).toEqual(["next"]);
    });
  }

  when("creating goes on while others are refused at the same time", async () => {
    await bench.createVolume("crowd", "sharing=none");
    await bench.run("one", "-v", "crowd:/data");
    await bench.create("two", "-v", "crowd:/data");
    for (let round = 0; round < roundCount; round++) {
      const [started] = await Promise.all([
        bench.dockerd.docker("start", "two"),
        bench.create(`made${round}`, "-v", "crowd:/seeded").catch((error: unknown) => {
          // Beside a start, a create may look like one: refused is allowed, let through is not.
          expect(String(error)).toContain("has sharing=none and is in use by one");
        }),
      ]);
      expect(started.exit).toBe(1);
      expect(await bench.running("one", "two")).toEqual(["one"]);
    }
  });

  when(
    "a new one is created, the old one stopped, the new one started, as Compose does",
    async () => {
      await bench.createVolume("project", "sharing=none");
      await bench.run("app_0", "-v", "project:/data");
      for (let round = 0; round < 3; round++) {
        const [old, next] = [`app_${round}`, `app_${round + 1}`];
        await bench.create(next, "-v", "project:/data");
        await bench.docker("stop", "-t", "0", old);
        await bench.docker("start", next);
        await bench.docker("rm", old);
        await bench.holders("project", `${next} running rw`);
      }
    },
  );

  when("docker cp, restart, stop and start of who has it go on", async () => {
    await bench.createVolume("own", "sharing=none");
    await bench.run("one", "-v", "own:/data");
    const file = join(bench.folder, "file");
    writeFileSync(file, "copied");
    for (let round = 0; round < 3; round++) {
      await bench.docker("cp", file, "one:/data/file");
      expect(await bench.docker("exec", "one", "cat", "/data/file")).toBe("copied");
      await bench.docker("restart", "-t", "0", "one");
      await bench.docker("stop", "-t", "0", "one");
      await bench.docker("start", "one");
    }
    await bench.holders("own", "one running rw");
  });

  when(
    "a create beside one that a file was copied to goes on, and its start does not",
    async () => {
      await bench.createVolume("beside", "sharing=none");
      await bench.run("first", "-v", "beside:/data");
      const file = join(bench.folder, "beside");
      writeFileSync(file, "copied");
      await bench.docker("cp", file, "first:/data/file");
      await bench.create("second", "-v", "beside:/data");
      expect(await bench.refused("start", "second")).toContain("is in use by first");
    },
  );

  when("docker cp of one that stands still is refused while another has it", async () => {
    await bench.createVolume("still", "sharing=none");
    await bench.create("one", "-v", "still:/data");
    await bench.run("two", "-v", "still:/data");
    const file = join(bench.folder, "still");
    writeFileSync(file, "copied");
    expect(await bench.refused("cp", file, "one:/data/file")).toContain("is in use by two");
    await bench.docker("cp", file, "two:/data/file");
    await bench.docker("stop", "-t", "0", "two");
    await bench.docker("cp", file, "one:/data/file");
  });

  when("removing one and starting another back to back is never refused", async () => {
    await bench.createVolume("turns", "sharing=none");
    await bench.run("turn0", "-v", "turns:/data");
    for (let round = 0; round < roundCount; round++) {
      await bench.remove(`turn${round}`);
      await bench.run(`turn${round + 1}`, "-v", "turns:/data");
    }
  });

  when("of two that start at the same instant exactly one keeps it", async () => {
    await bench.createVolume("race", "sharing=none");
    for (let round = 0; round < roundCount; round++) {
      await bench.create("left", "-v", "race:/data");
      await bench.create("right", "-v", "race:/data");
      const start = (name: string) => bench.dockerd.docker("start", name);
      const [left, right] = await Promise.all([start("left"), start("right")]);
      expect([left.exit, right.exit].toSorted()).toEqual([0, 1]);
      const winner = left.exit === 0 ? "left" : "right";
      expect(left.stderr + right.stderr).toContain(`has sharing=none and is in use by ${winner}`);
      expect(await bench.running("left", "right")).toEqual([winner]);
      await bench.remove("left", "right");
    }
  });

  when("a start that failed blocks nobody, one that crashed only for the grace", async () => {
    await bench.createVolume("crashed", "sharing=none");
    const place = ["--network", "none", "-v", "crashed:/data"];
    await bench.refused("run", "--name", "broken", ...place, testImage, "/nothing");
    await bench.run("fine", "-v", "crashed:/data");
    await bench.remove("fine");
    expect(await bench.call("Mount", { Name: "crashed", ID: "f".repeat(64) })).toMatchObject({
      Err: "",
    });
    const fromMs = performance.now();
    await bench.run("later", "-v", "crashed:/data");
    const tookMs = performance.now() - fromMs;
    expect(tookMs).toBeGreaterThan(HOLD_GRACE_MS / 2);
    expect(tookMs).toBeLessThan(HOLD_GRACE_MS + 5_000);
  });

  when("a container that was killed leaves it to the next one", async () => {
    await bench.createVolume("killed", "sharing=none");
    await bench.run("one", "-v", "killed:/data");
    await bench.docker("kill", "one");
    await bench.run("two", "-v", "killed:/data");
    await bench.refused("start", "one");
  });
});

/** Starts two writers while anybody may write, and only then lets one write. */
async function twoWriters(volume: string, ...second: readonly string[]): Promise<string> {
  await bench.createVolume(volume);
  await bench.run("writer", "-v", `${volume}:/data`);
  const place = ["--name", "second", "--hostname", "second", "--network", "none"];
  const command = second.length > 0 ? second : [testImage, "sleep", "1000"];
  const id = await bench.docker("run", "-d", ...place, "-v", `${volume}:/data`, ...command);
  await bench.holders(volume, "writer running rw", "second running rw");
  const update = ["volume", "update", volume, "-o", "sharing=onewriter"];
  expect((await bench.holdfast(...update)).exit).toBe(0);
  return id;
}

describe("sharing=onewriter", () => {
  when("who came later is stopped where it was refused by nobody", async () => {
    using events = await EventStream.open(bench.daemon.socketPath);
    // On a machine that is busy it may be over when the command returns.
    const isViolated = untilState("log", "violated");
    const [id] = await Promise.all([twoWriters("log"), isViolated]);
    expect((await violation(events)).Actor).toEqual({
      ID: "log",
      Attributes: {
        driver: "local",
        container: id,
        sharing: "onewriter",
        access: "rw",
        policy: "stop",
      },
    });
    await ranForMs("second");
    await untilState("log", "in use");
    expect(await bench.running("writer", "second")).toEqual(["writer"]);
  });

  when("one that obeys SIGTERM is stopped too, and not started again", async () => {
    const script =
      "trap 'exit 0' TERM; while :; do date +%s.%N >> /data/$HOSTNAME; sleep 0.01; done";
    await twoWriters("polite", "--restart", "always", testImage, "sh", "-c", script);
    await ranForMs("second");
    await untilState("polite", "in use");
    expect(await bench.running("writer", "second")).toEqual(["writer"]);
  });
});

describe("sharing=readonly", () => {
  when("whoever has it read-write is stopped", async () => {
    using events = await EventStream.open(bench.daemon.socketPath);
    await bench.createVolume("fixed", "sharing=readonly");
    await bench.run("reader", "-v", "fixed:/data:ro");
    expect((await bench.volume("fixed")).state).toBe("in use");
    await bench.run("writer", "-v", "fixed:/data");
    expect((await violation(events)).Actor.Attributes).toMatchObject({ sharing: "readonly" });
    expect(await ranForMs("writer")).toBeLessThan(STOP_SECONDS * 1_000 + noticeMsMax);
    expect(await bench.running("reader", "writer")).toEqual(["reader"]);
  });
});

describe("--sharing-violation report", () => {
  when("leaves it running, and the volume is violated while it does", async () => {
    await bench.daemon.stop();
    await bench.startDaemon("--sharing-violation", "report");
    using events = await EventStream.open(bench.daemon.socketPath);
    await twoWriters("told");
    expect((await violation(events)).Actor.Attributes).toMatchObject({ policy: "report" });
    await untilState("told", "violated");
    const { holders } = await bench.volume("told");
    expect(holders.find(({ name }) => name === "second")?.reason).toBe("breaks sharing=onewriter");
    expect(await bench.running("writer", "second")).toHaveLength(2);
    await bench.remove("second");
    await untilState("told", "in use");
  });
});
