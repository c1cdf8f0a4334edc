// A full disk: a clear error, nothing half made, removal works, and life goes on when space
// returns.
import { expect } from "bun:test";
import { existsSync, mkdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DESCRIPTION_BYTES_MAX } from "../../src/core/state-store.ts";
import { eventually, runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  startDaemon,
  temporaryDirectory,
  withoutPlugins,
} from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { Client, holderPath, ownPath } from "./client.ts";
import { mustRun } from "./loop-image.ts";
import { untilPurged } from "./reality.ts";
import {
  create,
  createUntilRefused,
  diskBytes,
  expectFull,
  expectWhole,
  fill,
  names,
  onSmallDisk,
} from "./small-disk.ts";

const requirements = ["root", "mount", "loop", "ext4"] as const;
const backgroundMs = 20_000;

whenPossible(requirements, "a disk that a volume has filled", () =>
  onSmallDisk([], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root") });
    const client = new Client(daemon.socketPath);
    for (const name of ["hungry", "small", "other"]) await create(client, name);
    await client.expect(200, "PUT", holderPath("hungry", "eater"));
    const food = join(daemon.root, "volumes/hungry/_data/food");
    fill(food);

    const { name, refusal } = await createUntilRefused(client, "late");
    expectFull(refusal);
    fill(food);
    expectFull(await create(client, name));
    expect(await names(client)).not.toContain(name);
    await expectWhole(daemon);
    const options = { type: "tmpfs", device: "tmpfs" };
    expectFull(await client.send("POST", "/volumes/create", { Name: name, DriverOpts: options }));
    await expectWhole(daemon);
    await client.expect(404, "GET", `/volumes/${name}`);

    // Removal works while nothing fits, also that of the volume which has filled the disk.
    await client.expect(204, "DELETE", "/volumes/small");
    fill(food);
    await client.expect(409, "DELETE", "/volumes/hungry");
    await client.expect(204, "DELETE", holderPath("hungry", "eater"));
    await client.expect(204, "DELETE", "/volumes/hungry");
    expect(await names(client)).not.toContain("hungry");
    // What was removed is kept while there is room: here the oldest go until there is.
    const free = (): number => statfsSync(disk).bavail * statfsSync(disk).bsize;
    await eventually(() => (free() > diskBytes / 4 ? true : undefined), {
      timeoutMs: backgroundMs,
      otherwise: () => `only ${free()} bytes are free`,
    });

    // Without a restart.
    expect((await create(client, "again")).status).toBe(201);
    await expectWhole(daemon);
  }),
);

whenPossible(requirements, "the largest labels on a full disk: refused above, removed at", () =>
  onSmallDisk([], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root") });
    const client = new Client(daemon.socketPath);
    const labels = (bytes: number) => ({ a: "x".repeat(bytes - '{"a":""}'.length) });
    for (const Name of ["big0", "big1"]) {
      const body = { Name, Labels: labels(DESCRIPTION_BYTES_MAX) };
      await client.expect(201, "POST", "/volumes/create", body);
    }
    const over = { Name: "big2", Labels: labels(DESCRIPTION_BYTES_MAX + 1) };
    expect(await client.send("POST", "/volumes/create", over)).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining("at most 262144 are allowed") },
    });
    fill(join(disk, "ballast"));
    expectFull((await createUntilRefused(client, "late")).refusal);
    fill(join(disk, "ballast"));
    for (const name of ["big0", "big1"]) await client.expect(204, "DELETE", `/volumes/${name}`);
    await expectWhole(daemon);
  }),
);

whenPossible(requirements, "a start on a full disk, after a clean end and after a kill", () =>
  onSmallDisk([], async (disk) => {
    const root = join(disk, "root");
    const ballast = join(disk, "ballast");
    let expected: readonly string[] = [];
    {
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      for (const name of ["one", "two", "three", "four"]) await create(client, name);
      expected = await names(client);
    }
    fill(ballast);
    for (const end of ["stop", "kill", "stop"] as const) {
      const daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      expect(await names(client)).toEqual(expected);
      const { made, refusal } = await createUntilRefused(client, `late-${end}`);
      expectFull(refusal);
      for (const name of made) await client.expect(204, "DELETE", `/volumes/${name}`);
      await expectWhole(daemon);
      const victim = expected[0] ?? "";
      await client.expect(204, "DELETE", `/volumes/${victim}`);
      expected = expected.slice(1);
      fill(ballast);
      await daemon[end]();
      fill(ballast);
    }
    await using daemon = await startDaemon({ root });
    const client = new Client(daemon.socketPath);
    expect(await names(client)).toEqual(expected);
    rmSync(ballast);
    expect((await create(client, "again")).status).toBe(201);
    await untilPurged({ client, root: root });
    expect(await client.warnings()).toEqual([]);
  }),
);

whenPossible(
  requirements,
  "a first start on a disk without any room is refused in a sentence",
  () =>
    onSmallDisk([], async (disk) => {
      fill(join(disk, "ballast"));
      await expectRefusedStart(join(disk, "root"), /no space left on device|is full/i);
    }),
);

whenPossible(requirements, "a disk without inodes", () =>
  onSmallDisk(["-N", "128"], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root") });
    const client = new Client(daemon.socketPath);
    const { made, name, refusal } = await createUntilRefused(client, "volume");
    expectFull(refusal);
    expect(made.length).toBeGreaterThan(20);
    // One inode is left, or none: the volume's own directory is made, or not even that.
    const refuses = async () => {
      for (const again of [name, "other", "third"]) expectFull(await create(client, again));
    };
    await refuses();
    if (statfsSync(disk).ffree > 0) writeFileSync(join(disk, "one-more"), "");
    else rmdirSync(join(daemon.root, "holds"));
    await refuses();
    await expectWhole(daemon);
    expect(await names(client)).toEqual(made.toSorted());
    for (const each of made.slice(0, 10)) {
      await client.expect(204, "DELETE", ownPath(each, `?purge=true&confirm=${each}`));
    }
    await untilPurged({ client, root: daemon.root });
    expect((await create(client, name)).status).toBe(201);
    await expectWhole(daemon);
  }),
);

async function expectRefusedStart(root: string, message: RegExp): Promise<void> {
  const [program, ...first] = holdfastCommand();
  const socket = `${temporaryDirectory()}/holdfast.sock`;
  const place = ["--root", root, "--host", `unix://${socket}`, ...withoutPlugins];
  const words = [...first, "daemon", ...place];
  const ended = await runToEnd(program, words, { timeoutMs: 30_000 });
  rmSync(join(socket, ".."), { recursive: true, force: true });
  expect(ended.exit).toBe(1);
  expect(ended.stderr).toMatch(message);
  // A sentence and the way out, no stack.
  const lines = ended.stderr
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("{"));
  expect(lines).toHaveLength(2);
  expect(lines[0]).toStartWith("holdfast: ");
}

whenPossible(requirements, "a start on read-only storage is refused in a sentence", () =>
  onSmallDisk([], async (disk) => {
    const root = join(disk, "root");
    {
      await using daemon = await startDaemon({ root });
      await create(new Client(daemon.socketPath), "kept");
    }
    await mustRun("mount", ["-o", "remount,ro", disk]);
    await expectRefusedStart(root, /read-only file system/i);
    await expectRefusedStart(join(disk, "fresh"), /read-only file system/i);
    await mustRun("mount", ["-o", "remount,rw", disk]);
    await using daemon = await startDaemon({ root });
    expect(await names(new Client(daemon.socketPath))).toEqual(["kept"]);
  }),
);

whenPossible(requirements, "storage that turns read-only under a running daemon", () =>
  onSmallDisk(["-e", "remount-ro"], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root") });
    const client = new Client(daemon.socketPath);
    for (const name of ["one", "two"]) await create(client, name);
    await untilPurged({ client, root: daemon.root });
    await failFileSystem(disk);
    expect(() => mkdirSync(join(disk, "x"))).toThrow(/EROFS|read-only/i);
    const message = expect.stringMatching(/read-only|disk I\/O error|could not be put on disk/i);
    expect(await create(client, "three")).toEqual({ status: 500, body: { message } });
    expect(await client.send("DELETE", "/volumes/one")).toEqual({ status: 500, body: { message } });
    expect(await names(client)).toEqual(["one", "two"]);
    await client.expect(200, "GET", "/volumes/one");
    await client.expect(404, "GET", "/volumes/three");
    expect(existsSync(join(daemon.root, "volumes/three"))).toBe(false);
    expect(existsSync(join(daemon.root, "volumes/one/_data"))).toBe(true);
  }),
);

/** What a broken disk does to an ext4 that was mounted or made with `errors=remount-ro`. */
async function failFileSystem(disk: string): Promise<void> {
  const source = await runToEnd("findmnt", ["-n", "-o", "SOURCE", disk], { timeoutMs: 10_000 });
  const device = source.stdout.trim().replace("/dev/", "");
  writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "a test of Holdfast");
}
