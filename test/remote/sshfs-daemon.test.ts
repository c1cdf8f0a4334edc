// The life of a volume on another machine, from end to end: a daemon, a real sshd, a secret.
import { afterEach, beforeEach, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseMountTable } from "../../src/host/mount-table.ts";
import { exchange } from "../docker/wire.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { type SshServer, startSshServer } from "../support/labs/ssh-server.ts";
import { whenPossible } from "../support/needs.ts";

const requirements = ["root", "mount", "fuse", "sshfs", "sshd"] as const;
const timeoutMs = 60_000;
const waitMs = 20_000;

let folder: string;
let exported: string;
let server: SshServer;
let daemon: RunningDaemon;
beforeEach(() => {
  folder = temporaryDirectory();
  exported = join(folder, "exported");
  mkdirSync(exported);
});
afterEach(async () => {
  await daemon?.stop();
  for (const target of mounted()) await runToEnd("umount", ["-l", target], { timeoutMs: 10_000 });
  await server?.[Symbol.asyncDispose]();
  // What is left in the trash has a sealed mount point.
  await runToEnd("chattr", ["-R", "-f", "-i", folder], { timeoutMs: 10_000 });
  rmSync(folder, { recursive: true, force: true });
});

function mounted(): readonly string[] {
  const table = parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
  return table.map(({ target }) => target).filter((target) => target.startsWith(folder));
}

async function start(): Promise<void> {
  daemon = await startDaemon({ root: join(folder, "root") });
}

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

async function send(method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await exchange(daemon.socketPath, {
    ...{ method, path },
    ...(body === undefined
      ? {}
      : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: answer.body === "" ? {} : JSON.parse(answer.body) };
}

const own = (path: string): string => `/holdfast/v1/${path}`;

async function startWithSecret(): Promise<void> {
  server = await startSshServer(join(folder, "ssh"));
  await start();
  const value = readFileSync(join(server.folder, "user")).toString("base64");
  const kept = await send("PUT", own("secrets/nas"), { value });
  expect([kept.status, kept.json]).toEqual([200, expect.anything()]);
}

function options(more: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [kind, key] = readFileSync(join(server.folder, "host.pub"), "utf8").split(" ");
  const { port } = server;
  return {
    ...{ host: "root@127.0.0.1", port: String(port), path: exported, secret: "nas" },
    "host-key": `${kind} ${key}`,
    ...more,
  };
}

async function create(name: string, more: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const body = { Name: name, Driver: "sshfs", DriverOpts: options(more) };
  return await send("POST", "/volumes/create", body);
}

/** Somebody has the volume; answers where its data is. */
async function hold(name: string): Promise<string> {
  const { status, json } = await send("PUT", own(`volumes/${name}/holders/one`));
  expect([status, json]).toEqual([200, expect.anything()]);
  return String(json["path"]);
}

async function release(name: string): Promise<void> {
  const { status, json } = await send("DELETE", own(`volumes/${name}/holders/one`));
  expect([status, json]).toEqual([204, {}]);
}

async function trashIds(): Promise<readonly string[]> {
  const { json } = await send("GET", own("trash"));
  const entries = json["entries"];
  return Array.isArray(entries) ? entries.map(({ id }) => String(id)) : [];
}

whenPossible(
  requirements,
  "made, used, through a crash of the daemon, removed, restored, destroyed",
  async () => {
    await startWithSecret();
    writeFileSync(join(exported, "theirs"), "was there before");
    const made = await create("wiki", { subpath: "wiki", trash: "7d" });
    expect([made.status, made.json]).toEqual([201, expect.anything()]);
    // Made and tested: its directory is there, with nothing in it, and nothing is mounted.
    expect(readdirSync(join(exported, "wiki"))).toEqual([]);
    expect(mounted()).toEqual([]);
    const path = await hold("wiki");
    await writeFile(join(path, "page"), "written");
    expect(readFileSync(join(exported, "wiki/page"), "utf8")).toBe("written");

    await daemon.kill();
    expect(await readFile(join(path, "page"), "utf8")).toBe("written");
    await start();
    expect(await hold("wiki")).toBe(path);
    expect(mounted()).toEqual([path]);
    expect(await readFile(join(path, "page"), "utf8")).toBe("written");
    await release("wiki");
    expect(mounted()).toEqual([]);

    expect((await send("DELETE", "/volumes/wiki")).status).toBe(204);
    const [id = ""] = await trashIds();
    expect(readFileSync(join(exported, "wiki/page"), "utf8")).toBe("written");
    expect((await send("POST", own(`trash/${id}/restore`), {})).status).toBe(200);
    expect(await readFile(join(await hold("wiki"), "page"), "utf8")).toBe("written");
    await release("wiki");
    expect((await send("DELETE", "/volumes/wiki")).status).toBe(204);
    const [again = ""] = await trashIds();
    const purging = await send("DELETE", own(`trash/${again}?confirm=wiki`));
    expect([purging.status, purging.json]).toEqual([expect.any(Number), {}]);
    await eventually(() => (existsSync(join(exported, "wiki")) ? undefined : true), {
      timeoutMs: waitMs,
      otherwise: () => `still there: ${readdirSync(exported).join(", ")}`,
    });
    expect(readdirSync(exported)).toEqual(["theirs"]);
  },
  timeoutMs,
);

whenPossible(
  requirements,
  "what was there before outlives everything",
  async () => {
    await startWithSecret();
    writeFileSync(join(exported, "theirs"), "was there before");
    expect((await create("all", { trash: "off" })).status).toBe(201);
    const path = await hold("all");
    expect(await readFile(join(path, "theirs"), "utf8")).toBe("was there before");
    await release("all");
    expect((await send("DELETE", "/volumes/all")).status).toBe(204);
    await send("POST", "/volumes/prune");
    expect(readFileSync(join(exported, "theirs"), "utf8")).toBe("was there before");
    expect(readdirSync(exported)).toEqual(["theirs"]);
  },
  timeoutMs,
);

whenPossible(
  requirements,
  "what cannot be used is refused, and nothing of it stays",
  async () => {
    await startWithSecret();
    const missing = await create("lost", { path: join(exported, "nosuch") });
    expect([missing.status >= 400, missing.json]).toEqual([true, expect.anything()]);
    expect(JSON.stringify(missing.json)).toContain("nosuch");
    expect((await send("GET", own("volumes"))).json["volumes"]).toEqual([]);
    expect(mounted()).toEqual([]);
    expect(readdirSync(join(folder, "root/remote/sshfs"))).toEqual([".trash"]);
  },
  timeoutMs,
);

whenPossible(
  requirements,
  "a root that is moved under what is mounted is refused, and back in its place it goes on",
  async () => {
    await startWithSecret();
    expect((await create("all")).status).toBe(201);
    const path = await hold("all");
    await daemon.stop();
    const [before, after] = [join(folder, "root"), join(folder, "moved")];
    renameSync(before, after);
    await expect(startDaemon({ root: after })).rejects.toThrow(
      `the root ${after} was moved while volumes were mounted in it (all)`,
    );
    renameSync(after, before);
    await start();
    expect((await send("GET", own("volumes/all"))).json["holders"]).toHaveLength(1);
    await writeFile(join(path, "page"), "written");
    await release("all");
    expect(mounted()).toEqual([]);
    expect(readFileSync(join(exported, "page"), "utf8")).toBe("written");
    // With nothing mounted in it a root may be moved.
    await daemon.stop();
    renameSync(before, after);
    daemon = await startDaemon({ root: after, secretKey: `${before}.key` });
    expect(await hold("all")).toStartWith(after);
    await release("all");
  },
  timeoutMs,
);
