// docs/deviations.md is true: the tests it names exist, and the entries without another are here.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { exchange, type WireAnswer } from "./wire.ts";

const repository = join(import.meta.dir, "../..");
const document = readFileSync(join(repository, "docs/deviations.md"), "utf8");

/** Docker takes 15 s; one is an eternity for a look into a map. */
const atOnceMs = 1_000;

/** Each entry of the document: its heading and its text. */
function entries(): readonly (readonly [string, string])[] {
  return document
    .split(/^### /m)
    .slice(1)
    .map((part) => {
      const [heading = "", ...lines] = part.split("\n");
      return [heading, lines.join("\n").split(/^## /m)[0] ?? ""] as const;
    });
}

describe("docs/deviations.md", () => {
  test("has entries, each with a heading of its own", () => {
    const headings = entries().map(([heading]) => heading);
    expect(headings.length).toBeGreaterThan(10);
    expect(new Set(headings).size).toBe(headings.length);
  });

  for (const [heading, text] of entries()) {
    test(`${heading}: names a test that exists`, () => {
      if (text.includes("Test: as above")) return;
      const [, list = ""] =
        /Tests?: ((?:`[^`]+`(?:, | and )?)+)/.exec(text.replaceAll("\n", " ")) ?? [];
      const files = [...list.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
      expect(files.length).toBeGreaterThan(0);
      const missing = files.filter((file) => !existsSync(join(repository, file)));
      expect(missing).toEqual([]);
    });
  }
});

async function onDaemon(
  work: (
    send: (method: string, path: string, body?: unknown) => Promise<WireAnswer>,
    root: string,
  ) => Promise<void>,
): Promise<void> {
  const root = temporaryDirectory();
  try {
    await using daemon = await startDaemon({ root });
    const headers = { "Content-Type": "application/json" };
    await work(
      (method, path, body) =>
        exchange(
          daemon.socketPath,
          body === undefined
            ? { method, path }
            : { method, path, headers, body: JSON.stringify(body) },
        ),
      root,
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("An unknown driver: Docker's 404, at once", async () => {
  await onDaemon(async (send) => {
    const startedMs = performance.now();
    const body = { Name: "wiki", Driver: "nosuch" };
    const answer = await send("POST", "/volumes/create", body);
    expect(performance.now() - startedMs).toBeLessThan(atOnceMs);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      404,
      { message: 'create wiki: error looking up volume plugin nosuch: plugin "nosuch" not found' },
    ]);
  });
});

test("A directory that vanished: an error and a warning, never an empty directory", async () => {
  const root = temporaryDirectory();
  const volume = join(root, "volumes", "wiki");
  const holder = "/holdfast/v1/volumes/wiki/holders/c1";
  try {
    {
      await using daemon = await startDaemon({ root });
      const send = (method: string, path: string) => exchange(daemon.socketPath, { method, path });
      const headers = { "Content-Type": "application/json" };
      const create = { method: "POST", path: "/volumes/create", headers, body: '{"Name":"wiki"}' };
      await exchange(daemon.socketPath, create);
      expect((await send("PUT", holder)).status).toBe(200);
      expect((await send("DELETE", holder)).status).toBe(204);
    }
    rmSync(volume, { recursive: true });
    await using daemon = await startDaemon({ root });
    const send = (method: string, path: string) => exchange(daemon.socketPath, { method, path });
    const refused = await send("PUT", holder);
    expect([refused.status, JSON.parse(refused.body).message]).toEqual([
      500,
      `error while mounting volume '${join(volume, "_data")}': the data directory is missing`,
    ]);
    expect(existsSync(volume)).toBe(false);
    const info = JSON.parse((await send("GET", "/info")).body);
    expect(info.Warnings).toEqual(["The data directory is missing of: wiki."]);
    expect((await send("GET", "/volumes/wiki")).status).toBe(200);
    expect((await send("DELETE", "/volumes/wiki")).status).toBe(204);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("Space is freed in the background: a removal is out of sight at once", async () => {
  await onDaemon(async (send, root) => {
    await send("POST", "/volumes/create", { Name: "wiki" });
    expect((await send("DELETE", "/volumes/wiki")).status).toBe(204);
    expect(existsSync(join(root, "volumes", "wiki"))).toBe(false);
    expect(JSON.parse((await send("GET", "/volumes")).body).Volumes).toEqual([]);
  });
});

test("Options that are the engine's own: accepted by every driver, checked, shown", async () => {
  await onDaemon(async (send, root) => {
    const DriverOpts = { sharing: "none", owner: "999:999", mode: "0750" };
    const made = await send("POST", "/volumes/create", { Name: "wiki", DriverOpts });
    expect([made.status, JSON.parse(made.body).Options]).toEqual([201, DriverOpts]);
    expect(existsSync(join(root, "volumes", "wiki", "opts.json"))).toBe(false);
    const wrong = { Name: "other", DriverOpts: { sharing: "two" } };
    const refused = await send("POST", "/volumes/create", wrong);
    expect([refused.status, JSON.parse(refused.body).message]).toEqual([
      400,
      'create other: invalid option: "sharing": "two": one of all, none, onewriter, readonly is ' +
        "needed",
    ]);
    const filters = encodeURIComponent('{"all":["true"]}');
    const pruned = await send("POST", `/volumes/prune?filters=${filters}`);
    expect(JSON.parse(pruned.body).VolumesDeleted).toEqual([]);
    const usage = JSON.parse((await send("GET", "/system/df")).body);
    expect(usage.Volumes.map(({ Name }: { readonly Name: string }) => Name)).toEqual(["wiki"]);
  });
});

test("No quota of a plain volume: Docker's 400, and no volume is left", async () => {
  await onDaemon(async (send) => {
    const create = (size: string) =>
      send("POST", "/volumes/create", { Name: "wiki", DriverOpts: { size } });
    const answer = await create("10m");
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      400,
      { message: "create wiki: quota size requested but no quota support" },
    ]);
    expect((await send("GET", "/volumes/wiki")).status).toBe(404);
    expect((await create("0")).status).toBe(201);
  });
});
