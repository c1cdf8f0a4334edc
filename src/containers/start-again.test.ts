// Which stopped containers dockerd is told to start again, by what a real one (20.10) writes.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testOperation } from "../../test/support/operation.ts";
import { dockerEngine } from "./docker-engine.ts";

const id = "a".repeat(64);
const refused = "connect: connection refused";
const post = (method: string, driver = "holdfast") =>
  `Post "http://%2Frun%2Fdocker%2Fplugins%2F${driver}.sock/${method}": ` +
  `dial unix /run/docker/plugins/${driver}.sock: ${refused}`;
const checking = 'error while checking if volume "wiki" exists in driver "holdfast": ';

/** Recorded, but for the one of a Mount that is cut off, which is like the others. */
const ours: readonly string[] = [
  // A container that ends, or is started, while nobody listens.
  `error while mounting volume '': get wiki: ${checking}${post("VolumeDriver.Get")}`,
  // A boot: a socket that was left, and none.
  `get wiki: ${checking}error looking up volume plugin holdfast: legacy plugin: ` +
    post("Plugin.Activate"),
  `get wiki: ${checking}error looking up volume plugin holdfast: plugin "holdfast" not found`,
  `error while mounting volume '/x': ${post("VolumeDriver.Mount")}`,
  "error while mounting volume '/x': VolumeDriver.Mount: the storage on nas does not answer",
];

const foreign: readonly string[] = [
  "",
  'OCI runtime create failed: exec: "nosuch": executable file not found in $PATH: unknown',
  "driver failed programming external connectivity on endpoint web: port is already allocated",
  "error while mounting volume '/v/nas/_data': failed to mount local volume: mount :/x: refused",
  `get other: ${checking.replace("holdfast", "netapp")}${post("VolumeDriver.Get", "netapp")}`,
  'get other: error looking up volume plugin netapp: plugin "netapp" not found',
  `error while mounting volume '/x': ${post("VolumeDriver.Mount", "netapp")}`,
];

interface Inspected {
  readonly error?: string;
  readonly policy?: string;
  readonly startedAt?: string;
  readonly isRunning?: boolean;
}

/** Whether it is told to start, and what the predicate was asked. */
async function startAgain(
  inspected: Inspected,
  isWanted = true,
): Promise<{ readonly isStarted: boolean; readonly asked: readonly string[] }> {
  const { error = ours[0], policy = "always", isRunning = false } = inspected;
  const { startedAt = "2026-11-26T11:46:58.160494531Z" } = inspected;
  const body = JSON.stringify({
    State: { Running: isRunning, Error: error, StartedAt: startedAt },
    HostConfig: { RestartPolicy: { Name: policy, MaximumRetryCount: 0 } },
  });
  const folder = mkdtempSync(join(tmpdir(), "holdfast-containers-"));
  const socketPath = join(folder, "docker.sock");
  const started: string[] = [];
  const server = createServer(({ method, url }, response) => {
    if (method === "POST") started.push(url ?? "");
    response.writeHead(method === "POST" ? 204 : 200).end(method === "POST" ? "" : body);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(socketPath, listening.resolve);
  await listening.promise;
  try {
    const socketPaths = () => [socketPath];
    const engine = dockerEngine({ key: "docker:/x", driver: "holdfast", socketPaths });
    const asked: string[] = [];
    const want = (failure: string) => {
      asked.push(failure);
      return isWanted;
    };
    const isStarted = await engine.startAgain(id, want, testOperation());
    expect(started).toEqual(isStarted ? [`/containers/${id}/start`] : []);
    return { isStarted, asked };
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

test("one that did not reach our driver, or was refused by it, is started", async () => {
  for (const error of ours) {
    const told = await startAgain({ error });
    expect(told).toEqual({ isStarted: true, asked: [error] });
  }
  for (const policy of ["unless-stopped", "on-failure"]) {
    expect((await startAgain({ policy })).isStarted).toBe(true);
  }
});

test("one that ended, was stopped, or failed for another reason is left alone", async () => {
  for (const error of foreign) {
    const told = await startAgain({ error });
    expect([error, told.isStarted, told.asked]).toEqual([error, false, []]);
  }
});

test("nor is one that nobody wants to run, that runs, or that has never run", async () => {
  for (const inspected of [
    { policy: "no" },
    { policy: "" },
    { isRunning: true },
    { startedAt: "0001-01-01T00:00:00Z" },
  ]) {
    expect([inspected, (await startAgain(inspected)).isStarted]).toEqual([inspected, false]);
  }
  expect((await startAgain({}, false)).isStarted).toBe(false);
});
