// Locks inside of containers: each has its own volumes', whatever it tries, through restarts.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import {
  allLocks,
  ask,
  expectAsked,
  insideDirectory,
  needsOfInside,
  sleeper,
  startInside,
  steal,
  untilLocks,
} from "./inside-bench.ts";

const startMs = 120_000;
const testMs = 60_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfInside).skip !== undefined) return;
  bench = await startInside();
  await bench.createVolume("assets");
  await bench.createVolume("secrets");
  await sleeper(bench, "web", "-v", "assets:/site");
  await sleeper(bench, "job", "-v", "secrets:/data", "-v", "assets:/other:ro");
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(needsOfInside, name, run, testMs);
}

const publish = "volumes/assets/locks/publish";

describe("a container", () => {
  when("sees its own volumes, where it has them, and nothing else", async () => {
    expect(await expectAsked(bench, 200, "web", "GET", "/")).toEqual({
      volumes: [{ volume: "assets", target: "/site", access: "rw" }],
      locks: [],
    });
    const { volumes } = await expectAsked(bench, 200, "job", "GET", "locks");
    // In the order in which the engine mounted them, which is any.
    expect(volumes).toHaveLength(2);
    expect(volumes).toContainEqual({ volume: "secrets", target: "/data", access: "rw" });
    expect(volumes).toContainEqual({ volume: "assets", target: "/other", access: "ro" });
    for (const path of ["/volumes", "/_ping", "/metrics", "health", "volumes", "volumes/assets"]) {
      expect((await ask(bench, "web", "GET", path)).status).toBe(404);
    }
  });

  when("takes, renews and gives back a lock, read-only or not, with growing fences", async () => {
    const first = await expectAsked(bench, 200, "web", "POST", publish, { label: "site" });
    expect((await ask(bench, "job", "POST", publish, {})).status).toBe(409);
    const lease = `${publish}/leases/${first["id"]}`;
    await expectAsked(bench, 200, "web", "PUT", lease, { ttl: 60 });
    await expectAsked(bench, 204, "web", "DELETE", lease);
    const second = await expectAsked(bench, 200, "job", "POST", publish, {});
    expect(BigInt(String(second["fence"]))).toBeGreaterThan(BigInt(String(first["fence"])));
    await expectAsked(bench, 404, "web", "DELETE", lease);
    await expectAsked(bench, 204, "job", "DELETE", `${publish}/leases/${second["id"]}`);
    expect(await allLocks(bench)).toEqual([]);
  });

  when("has no rights on a volume that it has not, and does not learn whether it is", async () => {
    await bench.createVolume("vault");
    const other = await expectAsked(bench, 200, "job", "POST", "volumes/secrets/locks/key", {});
    const lease = `volumes/secrets/locks/key/leases/${other["id"]}`;
    const words = new Set<string>();
    for (const name of ["secrets", "vault", "nothing"]) {
      const { status, text } = await ask(bench, "web", "POST", `volumes/${name}/locks/key`, {});
      expect(status).toBe(404);
      words.add(text.replaceAll(name, "NAME"));
      expect((await ask(bench, "web", "GET", `volumes/${name}/locks`)).status).toBe(404);
    }
    expect(words.size).toBe(1);
    // Also with an id that it should not know.
    for (const method of ["PUT", "DELETE"]) {
      expect((await ask(bench, "web", method, lease)).status).toBe(404);
    }
    const { fence } = other;
    const theft = `volumes/secrets/locks/key?fence=${fence}`;
    for (const name of ["web", "job"]) {
      expect((await ask(bench, name, "DELETE", theft)).status).toBe(400);
    }
    await expectAsked(bench, 204, "job", "DELETE", lease);
  });

  when("hears the label of others and not who they are, of itself more", async () => {
    const body = { label: "indexer", ttl: 60 };
    const mine = await expectAsked(bench, 200, "web", "POST", publish, body);
    const seen = async (name: string) => {
      const { locks } = await expectAsked(bench, 200, name, "GET", "locks");
      return JSON.stringify(locks);
    };
    const [known] = await allLocks(bench);
    expect(known?.holder).toMatchObject({ program: "curl", label: "indexer" });
    const [own, others] = [await seen("web"), await seen("job")];
    expect(own).toContain('"program":"curl"');
    expect(others).toContain('"holder":{"pid":0,"program":"","label":"indexer","container":null');
    const id = known?.holder.container ?? "none";
    expect(others).not.toContain(id.slice(0, 12));
    expect(own + others).not.toContain(String(mine["id"]));
    const { text } = await ask(bench, "job", "POST", publish, {});
    expect(text).toContain("indexer has lock publish of assets");
    expect(text).not.toContain("curl");
    expect(text).not.toContain("process");
    await steal(bench, (await allLocks(bench))[0] ?? fail());
    const lost = await ask(bench, "web", "PUT", `${publish}/leases/${mine["id"]}`);
    expect([lost.status, lost.text.includes("by an administrator")]).toEqual([409, true]);
    expect(lost.text).not.toContain("process");
  });

  when("that ends takes its connection's and its process's locks along", async () => {
    await sleeper(bench, "short", "-v", "assets:/site");
    const url = `http://locks/holdfast/v1/volumes/assets/locks`;
    const curl = `curl -sN --unix-socket ${insideDirectory}/locks.sock --json`;
    const held = `${curl} '{"ttl":600}' ${url}/held/hold`;
    await bench.docker("exec", "-d", "short", "sh", "-c", held);
    // The bond is with curl, which has ended when the next line runs.
    await bench.docker("exec", "short", "sh", "-c", `${curl} '{"bond":"process"}' ${url}/bound`);
    await untilLocks(
      bench,
      "only one is held",
      (locks) => locks.map((one) => one.lock).join() === "held",
    );
    await bench.docker("kill", "short");
    await untilLocks(bench, "none is held", (locks) => locks.length === 0);
  });

  when("that is gone keeps its volume no longer than its lock had to live", async () => {
    await bench.createVolume("left");
    await sleeper(bench, "leaver", "-v", "left:/data");
    const lock = "volumes/left/locks/kept";
    await expectAsked(bench, 200, "leaver", "POST", lock, { ttl: 5, label: "me\nand you" });
    const long = await expectAsked(bench, 200, "leaver", "POST", `${lock}-long`, { ttl: 86_400 });
    await bench.docker("rm", "-f", "leaver");
    const refused = await bench.dockerd.docker("volume", "rm", "left");
    expect([refused.exit, refused.stderr]).toEqual([
      1,
      expect.stringContaining("lock kept of curl"),
    ]);
    expect(refused.stderr).toContain("me\\nand you");
    // A long one is an administrator's to take away.
    const [found] = (await allLocks(bench)).filter(({ fence }) => fence === long["fence"]);
    await steal(bench, found ?? fail());
    await untilLocks(bench, "none is held", (locks) => locks.length === 0);
    await bench.docker("volume", "rm", "left");
  });

  when("finds the next daemon's socket in what it has, and its locks", async () => {
    const before = await expectAsked(bench, 200, "web", "POST", publish, { ttl: 600 });
    await bench.daemon.stop();
    expect((await ask(bench, "web", "GET", "/")).status).toBe(0);
    await bench.startDaemon();
    const lease = `${publish}/leases/${before["id"]}`;
    const after = await expectAsked(bench, 200, "web", "PUT", lease);
    expect(after["fence"]).toBe(before["fence"]);
    await bench.daemon.kill();
    await bench.startDaemon();
    await expectAsked(bench, 204, "web", "DELETE", lease);
  });

  when("cannot put a socket of its own in the place of ours", async () => {
    const words = `cd ${insideDirectory}; rm locks.sock; touch x; mv locks.sock y; mkdir z; ls`;
    expect(await bench.docker("exec", "web", "sh", "-c", words)).toBe("locks.sock");
  });

  when("is told what is wrong with what it asks", async () => {
    const wrong = [
      [400, "POST", publish, { pid: 1 }],
      [400, "POST", publish, { ttl: 0.5 }],
      [400, "POST", "volumes/assets/locks/..%2f", {}],
      [404, "PUT", `${publish}/leases/${"0".repeat(32)}`, undefined],
      [413, "POST", publish, { label: "x".repeat(5_000) }],
    ] as const;
    for (const [status, method, path, body] of wrong) {
      expect((await ask(bench, "web", method, path, body)).status).toBe(status);
    }
  });
});

describe("who is in no container, or has no volume", () => {
  when("is refused, with the way to go", async () => {
    const answer = await fetch("http://locks/", { unix: `${bench.lockDirectory}/locks.sock` });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("daemon's own socket");
    await sleeper(bench, "bare");
    const { status, text } = await ask(bench, "bare", "GET", "/");
    expect([status, text.includes("sees no volume")]).toEqual([403, true]);
  });

  when("a container that gets its volume later, and loses it, is looked at anew", async () => {
    // The same container, stopped and started: another process, another namespace.
    await bench.docker("stop", "job");
    await bench.docker("start", "job");
    await eventually(
      async () => ((await ask(bench, "job", "GET", "/")).status === 200 ? true : undefined),
      { timeoutMs: 10_000, otherwise: () => "it has no rights" },
    );
  });
});

function fail(): never {
  throw new Error("nothing is locked");
}
