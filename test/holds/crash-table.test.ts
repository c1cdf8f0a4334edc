// The table of crashes of a container, on one dockerd: no hold is leaked, none is ended too early.
import { afterAll, afterEach, beforeAll, describe, expect } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, signalAll } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { imageUserId, testImage } from "../support/test-image.ts";
import {
  areFree,
  containerPid,
  contentOf,
  holdsAre,
  isInUse,
  killProcess,
  writesLand,
} from "./steps.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;
/** dockerd answers in some milliseconds unless it waits for somebody itself. */
const askMs = 500;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
// What one that failed leaves behind shall not fail the others.
afterEach(async () => await bench?.removeAll(), startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

describe("the end of a container", () => {
  when("docker kill ends its hold; the stopped container still keeps the volume", async () => {
    await bench.run("db", "-v", "killed:/data", "--volume-driver", "holdfast");
    await writesLand(bench, "db", "killed");
    await bench.docker("kill", "db");
    await bench.holders("killed", "db stopped rw");
    expect(bench.holdMounts()).toEqual([]);
    await isInUse(bench, "killed");
    await bench.docker("rm", "db");
    await areFree(bench, "killed");
  });

  when("rm -f ends all", async () => {
    await bench.run("db", "-v", "removed:/data", "--volume-driver", "holdfast");
    await isInUse(bench, "removed");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "removed");
  });

  when("kill -9 of its process from outside ends its hold", async () => {
    await bench.run("db", "-v", "shot:/data", "--volume-driver", "holdfast");
    await killProcess(await containerPid(bench, "db"));
    await bench.holders("shot", "db stopped rw");
    expect(bench.holdMounts()).toEqual([]);
    await isInUse(bench, "shot");
    await bench.docker("rm", "db");
    await areFree(bench, "shot");
  });

  when("restart, and stop and start, end with one hold", async () => {
    await bench.run("db", "-v", "again:/data", "--volume-driver", "holdfast");
    await bench.docker("exec", "db", "sh", "-c", "echo first > /data/first");
    await bench.docker("restart", "--time", "0", "db");
    await bench.holders("again", "db running rw");
    await holdsAre(bench, 1);
    await writesLand(bench, "db", "again");
    await bench.docker("stop", "--time", "0", "db");
    await bench.holders("again", "db stopped rw");
    expect(bench.holdMounts()).toEqual([]);
    await bench.docker("start", "db");
    await bench.holders("again", "db running rw");
    await holdsAre(bench, 1);
    expect(await bench.docker("exec", "db", "cat", "/data/first")).toBe("first");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "again");
  });

  when("of two containers on one volume the other keeps it", async () => {
    await bench.run("one", "-v", "shared:/data", "--volume-driver", "holdfast");
    await bench.run("two", "-v", "shared:/data:ro", "--volume-driver", "holdfast");
    await bench.holders("shared", "one running rw", "two running ro");
    await bench.docker("rm", "-f", "two");
    await bench.holders("shared", "one running rw");
    await writesLand(bench, "one", "shared");
    await isInUse(bench, "shared");
    await bench.docker("rm", "-f", "one");
    await areFree(bench, "shared");
  });

  when("a volume at two paths of one container is one holder until its end", async () => {
    const paths = ["-v", "twice:/data", "-v", "twice:/other:ro"];
    await bench.run("db", ...paths, "--volume-driver", "holdfast");
    await bench.holders("twice", "db running rw");
    await holdsAre(bench, 2);
    await writesLand(bench, "db", "twice");
    await isInUse(bench, "twice");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "twice");
  });
});

describe("docker cp", () => {
  when("to and from a running container leaves it its hold", async () => {
    const source = join(bench.folder, "source");
    writeFileSync(source, "copied\n");
    await bench.run("db", "-v", "copied:/data", "--volume-driver", "holdfast");
    for (const _ of [1, 2]) {
      await bench.docker("cp", source, "db:/data/source");
      await bench.docker("cp", "db:/data/source", join(bench.folder, "back"));
    }
    expect(readFileSync(join(bench.folder, "back"), "utf8")).toBe("copied\n");
    expect(contentOf(bench, "copied", "source")).toBe("copied\n");
    await bench.holders("copied", "db running rw");
    await holdsAre(bench, 1);
    await isInUse(bench, "copied");
    await writesLand(bench, "db", "copied");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "copied");
  });

  when("to a stopped container leaves nothing mounted", async () => {
    const source = join(bench.folder, "source");
    writeFileSync(source, "copied\n");
    const place = ["-v", "stood:/data", "--volume-driver", "holdfast"];
    await bench.docker("create", "--name", "db", "--network", "none", ...place, testImage, "true");
    await bench.docker("cp", source, "db:/data/source");
    expect(contentOf(bench, "stood", "source")).toBe("copied\n");
    await bench.holders("stood", "db stopped rw");
    expect(bench.holdMounts()).toEqual([]);
    await isInUse(bench, "stood");
    await bench.docker("rm", "db");
    await areFree(bench, "stood");
  });
});

describe("docker create beside a running container", () => {
  when("leaves the running one its hold, with a copy-up and without", async () => {
    await bench.createVolume("beside");
    await bench.run("db", "-v", "beside:/elsewhere");
    await bench.docker("create", "--name", "next", "-v", "beside:/data", testImage, "true");
    const owner = statSync(join(bench.root, "volumes", "beside", "_data"));
    expect(owner.uid).toBe(imageUserId);
    await bench.holders("beside", "db running rw", "next stopped rw");
    await holdsAre(bench, 1);
    await writesLand(bench, "db", "beside", "/elsewhere");
    await bench.docker("create", "--name", "third", "-v", "beside:/data", testImage, "true");
    await bench.docker("rm", "third", "next");
    await bench.holders("beside", "db running rw");
    await writesLand(bench, "db", "beside", "/elsewhere");
    await isInUse(bench, "beside");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "beside");
  });

  when("the created one starts, and outlives the other", async () => {
    await bench.createVolume("outlived");
    const sleeper = [testImage, "sleep", "1000"];
    await bench.docker(
      "create",
      "--name",
      "late",
      "--network",
      "none",
      ...[...["-v", "outlived:/seeded"], ...sleeper],
    );
    expect(contentOf(bench, "outlived", "hello")).toBe("hello\n");
    await bench.run("early", "-v", "outlived:/data");
    await bench.docker("start", "late");
    await bench.holders("outlived", "early running rw", "late running rw");
    await bench.docker("rm", "-f", "early");
    await bench.holders("outlived", "late running rw");
    await writesLand(bench, "late", "outlived", "/seeded");
    await isInUse(bench, "outlived");
    await bench.docker("rm", "-f", "late");
    await areFree(bench, "outlived");
  });
});

describe("a start", () => {
  when("that fails after its Mount leaves nothing mounted", async () => {
    await bench.createVolume("failing");
    const words = ["run", "--name", "db", "--network", "none", "-v", "failing:/data"];
    expect(await bench.refused(...words, testImage, "no-such-program")).toContain(
      "no-such-program",
    );
    await bench.holders("failing", "db stopped rw");
    expect(bench.holdMounts()).toEqual([]);
    await bench.docker("rm", "db");
    await areFree(bench, "failing");
  });

  when("at a Holdfast that stands still succeeds when that goes on", async () => {
    await bench.createVolume("frozen");
    await bench.docker("create", "--name", "db", "-v", "frozen:/data", testImage, "sleep", "1000");
    await bench.holders("frozen", "db stopped rw");
    signalAll([bench.daemon.pid], "SIGSTOP");
    const starting = bench.dockerd.docker("start", "db");
    try {
      await eventually(async () => ((await isBeingStarted(bench, "db")) ? true : undefined), {
        timeoutMs: 10_000,
        otherwise: () => "dockerd does not call",
      });
    } finally {
      signalAll([bench.daemon.pid], "SIGCONT");
    }
    expect((await starting).exit).toBe(0);
    await bench.holders("frozen", "db running rw");
    await writesLand(bench, "db", "frozen");
    await bench.docker("rm", "-f", "db");
    await areFree(bench, "frozen");
  });
});

/** dockerd answers nothing about a container that it is starting until its Mount is answered. */
async function isBeingStarted({ dockerd }: HoldsBench, container: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(askMs);
    const url = `http://docker/containers/${container}/json`;
    await (await fetch(url, { unix: dockerd.socketPath, signal })).text();
    return false;
  } catch {
    return true;
  }
}

describe("a part of a volume", () => {
  when("in a container by a bind of the hold's path keeps the volume", async () => {
    await bench.createVolume("parts");
    await bench.run("db", "-v", "parts:/data");
    const [hold = ""] = bench.holdMounts();
    mkdirSync(join(hold, "deep"));
    // Docker 20.10 has no volume-subpath. A bind is private unless said otherwise.
    await bench.run("part", "-v", `${join(hold, "deep")}:/data:rslave`);
    await bench.docker("rm", "-f", "db");
    const { holders } = await bench.volume("parts");
    expect(holders.map(({ state }) => state)).toEqual(["running"]);
    await bench.docker("exec", "part", "sh", "-c", "echo part > /data/part");
    expect(contentOf(bench, "parts", "deep/part")).toBe("part\n");
    await bench.docker("rm", "-f", "part");
    await areFree(bench, "parts");
  });
});
