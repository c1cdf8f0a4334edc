// 10,000 generated bad requests: only documented answers, no crash, flat memory, nothing left
// behind.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, holderPath } from "../crash/client.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { printedSeed, Random } from "../support/random.ts";
import { faultsOf } from "./answers.ts";
import { assault } from "./assault.ts";
import { badRequest, OK_PREFIX, validRequest } from "./bad-request.ts";

const requestCount = 10_000;
const batchCount = 20;
const batchRequests = requestCount / batchCount;
/** The collector and the allocator need a few batches until they have what they want to keep. */
const warmBatches = 4;
/** What the resident memory may grow from the 2,000th request to the 10,000th. */
const growthBytesMax = 40 * 1024 * 1024;
/** After a batch the daemon answers at once. */
const answerWithinMs = 2_000;
const descriptorsSlack = 16;
/** A valid name that mutations may have made from `ok…`, or any other. */
const validName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

test(`${requestCount} bad requests are answered as documented, and change nothing`, async () => {
  const folder = temporaryDirectory();
  const random = new Random(printedSeed("bad requests"));
  try {
    mkdirSync(join(folder, "outside"));
    writeFileSync(join(folder, "outside/file"), "untouched");
    await using daemon = await startDaemon({ root: join(folder, "root") });
    const client = new Client(daemon.socketPath);
    await keepOne(client, daemon.root);
    const before = readdirSync(folder).sort();
    const descriptors = descriptorCount(daemon);
    const memory: number[] = [];

    for (let batch = 0; batch < batchCount; batch++) {
      const complaints = await assault(daemon.socketPath, random, batchRequests);
      expect(complaints.slice(0, 5)).toEqual([]);
      const askedAtMs = performance.now();
      await client.expect(200, "GET", "/volumes/kept");
      expect(performance.now() - askedAtMs).toBeLessThan(answerWithinMs);
      memory.push(residentBytes(daemon));
      await expectUntouched({ client, daemon, folder, before });
    }

    const growth = Math.min(...memory.slice(-3)) - (memory[warmBatches - 1] ?? 0);
    console.log(`bad requests: resident MiB ${memory.map(inMebibytes).join(" ")}`);
    expect(growth).toBeLessThan(growthBytesMax);
    expect(descriptorCount(daemon)).toBeLessThan(descriptors + descriptorsSlack);
    expect(daemon.output()).not.toContain('"level":"error"');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);

/** A volume that is held, so that no prune by chance removes it. */
async function keepOne(client: Client, root: string): Promise<void> {
  await client.expect(201, "POST", "/volumes/create", { Name: "kept", Labels: { kept: "yes" } });
  await client.expect(200, "PUT", holderPath("kept", "keeper"));
  writeFileSync(join(root, "volumes/kept/_data/file"), "kept");
}

async function expectUntouched(parts: {
  readonly client: Client;
  readonly daemon: RunningDaemon;
  readonly folder: string;
  readonly before: readonly string[];
}): Promise<void> {
  const { client, daemon, folder, before } = parts;
  expect(readdirSync(folder).sort()).toEqual([...before]);
  expect(readFileSync(join(folder, "outside/file"), "utf8")).toBe("untouched");
  expect(readFileSync(join(daemon.root, "volumes/kept/_data/file"), "utf8")).toBe("kept");
  expect(await client.send("GET", "/volumes/kept")).toMatchObject({
    body: { Labels: { kept: "yes" } },
  });
  const volumes = await client.volumes();
  const names = volumes.map(({ Name }) => Name);
  expect(names.filter((name) => !validName.test(name))).toEqual([]);
  expect(readdirSync(join(daemon.root, "volumes")).sort()).toEqual(names.toSorted());
  // What mutations made by chance goes again, so that lists stay short.
  for (const name of names) {
    if (name !== "kept") await client.send("DELETE", `/volumes/${name}`);
  }
}

function residentBytes({ pid }: RunningDaemon): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

function descriptorCount({ pid }: RunningDaemon): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function inMebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

test("keys of JavaScript's own objects are labels like any other", async () => {
  const folder = temporaryDirectory();
  try {
    await using daemon = await startDaemon({ root: join(folder, "root") });
    const client = new Client(daemon.socketPath);
    const labels = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c","":"d"}');
    const volume = await client.expect(201, "POST", "/volumes/create", {
      Name: "odd",
      Labels: labels,
    });
    expect(JSON.stringify(volume)).toContain('"__proto__":"a"');
    const find = async (label: string) => {
      const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
      const answer = await client.expect(200, "GET", `/volumes?filters=${filters}`);
      return (answer as { Volumes: unknown[] }).Volumes.length; // Docker's contract.
    };
    for (const label of ["__proto__=a", "__proto__", "constructor=b", "toString"]) {
      expect(await find(label)).toBe(1);
    }
    for (const label of ["__proto__=b", "valueOf", "hasOwnProperty", "constructor=a"]) {
      expect(await find(label)).toBe(0);
    }
    await client.expect(201, "POST", "/volumes/create", { Name: "plain" });
    expect(await find("__proto__")).toBe(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the judge of answers finds what is not documented", () => {
  const answer = (status: string, headers: string, body: string): readonly string[] =>
    faultsOf(`HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`, "");
  const json = "Content-Type: application/json\r\n";
  expect(answer("404 Not Found", json, '{"message":"no"}\n')).toEqual([]);
  expect(answer("500 Oops", json, '{"message":"no"}\n')).toHaveLength(1);
  expect(answer("404 Not Found", json, "{}")).toHaveLength(1);
  expect(answer("404 Not Found", json, "no")).toHaveLength(1);
  expect(answer("404 Not Found", "", '{"message":"no"}\n')).toHaveLength(1);
  expect(answer("400 Bad Request", "Content-Type: text/plain\r\n", "go away")).toHaveLength(1);
  expect(faultsOf("garbage", "")).toHaveLength(1);
  expect(faultsOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "")).toHaveLength(1);
});

test("the generator makes all its kinds, the same ones from the same seed", () => {
  const make = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 2_000 }, () => badRequest(random));
  };
  expect(make(7)).toEqual(make(7));
  expect(new Set(make(7).map(({ kind }) => kind)).size).toBe(14);
  expect(validRequest(new Random(1))).toContain("HTTP/1.1");
  expect(OK_PREFIX).toMatch(/^[a-z]+$/);
});
