// A full disk: a clear error, nothing half made, removal works, and life goes on when space
// returns.
import { expect } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DESCRIPTION_BYTES_MAX } from "../../src/core/state-store.ts";
import { runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  purgingAtOnce,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { type Answer, Client, holderPath } from "./client.ts";
import { mountedImage, mustRun } from "./loop-image.ts";
import { untilTrashIsEmpty } from "./reality.ts";

const requirements = ["root", "mount", "loop", "ext4"] as const;
const diskBytes = 24 * 1024 * 1024;
const chunkBytes = 256 * 1024;
/** More volumes than fit into the inodes or what is left of the blocks. */
const createsMax = 4_000;

/** Runs with a fresh small ext4 and takes it away again. */
async function onSmallDisk(
  words: readonly string[],
  run: (disk: string) => Promise<void>,
): Promise<void> {
  const folder = temporaryDirectory();
  try {
    await using disk = await mountedImage(folder, { type: "ext4", bytes: diskBytes, words });
    await run(disk.path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes until nothing more fits, the last bytes too. */
function fill(file: string): void {
  const descriptor = openSync(file, "a");
  try {
    for (let bytes = chunkBytes; bytes >= 1; ) {
      try {
        if (writeSync(descriptor, Buffer.alloc(bytes, 1)) < bytes) bytes = Math.floor(bytes / 2);
      } catch {
        bytes = Math.floor(bytes / 2);
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

const create = (client: Client, name: string): Promise<Answer> =>
  client.send("POST", "/volumes/create", { Name: name, Labels: { of: name } });

/** Creates until one is refused; answers its name and the refusal. */
async function createUntilRefused(
  client: Client,
  prefix: string,
): Promise<{ readonly made: readonly string[]; readonly name: string; readonly refusal: Answer }> {
  const made: string[] = [];
  for (let count = 0; count < createsMax; count++) {
    const name = `${prefix}-${count}`;
    const answer = await create(client, name);
    if (answer.status !== 201) return { made, name, refusal: answer };
    made.push(name);
  }
  throw new Error(`${createsMax} volumes fit on the disk that was to be full`);
}

async function names(client: Client): Promise<readonly string[]> {
  return (await client.volumes()).map(({ Name }) => Name).sort();
}

/** Docker's form of a refusal, in words about space. */
function expectFull(refusal: Answer): void {
  expect(refusal).toEqual({
    status: 500,
    body: { message: expect.stringMatching(/no space left on device|is full/i) },
  });
}

/** Rows and directories are the same volumes, each whole. */
async function expectWhole(daemon: RunningDaemon): Promise<void> {
  const client = new Client(daemon.socketPath);
  const listed = await names(client);
  expect(readdirSync(join(daemon.root, "volumes")).sort()).toEqual([...listed]);
  for (const name of listed) {
    expect(readdirSync(join(daemon.root, "volumes", name))).toContain("_data");
  }
  for (const name of listed.slice(0, 5)) {
    expect(await client.send("GET", `/volumes/${name}`)).toMatchObject({
      status: 200,
      body: { Name: name },
    });
  }
}

whenPossible(requirements, "a disk that a volume has filled", () =>
  onSmallDisk([], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root"), parameters: purgingAtOnce });
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
    await untilTrashIsEmpty(daemon.root);
    const { bavail, bsize } = statfsSync(disk);
    expect(bavail * bsize).toBeGreaterThan(diskBytes / 4);

    // Without a restart.
    expect((await create(client, "again")).status).toBe(201);
    await expectWhole(daemon);
  }),
);

whenPossible(requirements, "the largest labels on a full disk: refused above, removed at", () =>
  onSmallDisk([], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root"), parameters: purgingAtOnce });
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
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      const client = new Client(daemon.socketPath);
      for (const name of ["one", "two", "three", "four"]) await create(client, name);
      expected = await names(client);
    }
    fill(ballast);
    for (const end of ["stop", "kill", "stop"] as const) {
      const daemon = await startDaemon({ root, parameters: purgingAtOnce });
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
    await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
    const client = new Client(daemon.socketPath);
    expect(await names(client)).toEqual(expected);
    rmSync(ballast);
    expect((await create(client, "again")).status).toBe(201);
    await untilTrashIsEmpty(root);
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
    await using daemon = await startDaemon({ root: join(disk, "root"), parameters: purgingAtOnce });
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
    for (const each of made.slice(0, 10)) await client.expect(204, "DELETE", `/volumes/${each}`);
    await untilTrashIsEmpty(daemon.root);
    expect((await create(client, name)).status).toBe(201);
    await expectWhole(daemon);
  }),
);

async function expectRefusedStart(root: string, message: RegExp): Promise<void> {
  const [program, ...first] = holdfastCommand();
  const socket = `${temporaryDirectory()}/holdfast.sock`;
  const place = ["--root", root, "--host", `unix://${socket}`, "--plugin-socket", "none"];
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
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      await create(new Client(daemon.socketPath), "kept");
    }
    await mustRun("mount", ["-o", "remount,ro", disk]);
    await expectRefusedStart(root, /read-only file system/i);
    await expectRefusedStart(join(disk, "fresh"), /read-only file system/i);
    await mustRun("mount", ["-o", "remount,rw", disk]);
    await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
    expect(await names(new Client(daemon.socketPath))).toEqual(["kept"]);
  }),
);

whenPossible(requirements, "storage that turns read-only under a running daemon", () =>
  onSmallDisk(["-e", "remount-ro"], async (disk) => {
    await using daemon = await startDaemon({ root: join(disk, "root"), parameters: purgingAtOnce });
    const client = new Client(daemon.socketPath);
    for (const name of ["one", "two"]) await create(client, name);
    await untilTrashIsEmpty(daemon.root);
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
