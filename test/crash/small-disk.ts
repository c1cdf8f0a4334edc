// A small ext4 that is filled to the last byte, for tests of what a full disk does.
import { expect } from "bun:test";
import { closeSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type RunningDaemon, temporaryDirectory } from "../support/daemon.ts";
import { type Answer, Client } from "./client.ts";
import { mountedImage } from "./loop-image.ts";

export const diskBytes = 24 * 1024 * 1024;
const chunkBytes = 256 * 1024;
/** More volumes than fit into the inodes or what is left of the blocks. */
const createsMax = 4_000;

/** Runs with a fresh small ext4 and takes it away again. */
export async function onSmallDisk(
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
export function fill(file: string): void {
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

export const create = (client: Client, name: string): Promise<Answer> =>
  client.send("POST", "/volumes/create", { Name: name, Labels: { of: name } });

/** Creates until one is refused; answers its name and the refusal. */
export async function createUntilRefused(
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

export async function names(client: Client): Promise<readonly string[]> {
  return (await client.volumes()).map(({ Name }) => Name).sort();
}

/** Docker's form of a refusal, in words about space. */
export function expectFull(refusal: Answer): void {
  expect(refusal).toEqual({
    status: 500,
    body: { message: expect.stringMatching(/no space left on device|is full/i) },
  });
}

/** Rows and directories are the same volumes, each whole. */
export async function expectWhole(daemon: RunningDaemon): Promise<void> {
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
