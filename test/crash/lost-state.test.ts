// A lost or damaged state.db never hides data: volumes, labels and options come back.
import { expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import {
  purgingAtOnce,
  type RunningDaemon,
  startDaemon,
  temporaryDirectory,
} from "../support/daemon.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { Client, holderPath, type Volume } from "./client.ts";
import { unmountBelow } from "./loop-image.ts";
import { untilTrashIsEmpty } from "./reality.ts";

const plainNames = ["plain", "labelled", "anonymous-like"];
const scratchOptions = { type: "tmpfs", device: "tmpfs", o: "size=1m" };

interface Damage {
  readonly name: string;
  /** Also the copies are gone, so that only the directories tell anything. */
  readonly withoutCopies?: boolean;
  readonly apply: (state: string) => void;
}

const garbage = Buffer.from(Array.from({ length: 40_000 }, (_, index) => (index * 7919) % 251));

const damages: readonly Damage[] = [
  { name: "deleted", apply: (state) => rmSync(state) },
  {
    name: "deleted with its log",
    apply: (state) => {
      rmSync(state);
      rmSync(`${state}-wal`, { force: true });
    },
  },
  { name: "empty", apply: (state) => truncateSync(state, 0) },
  { name: "cut in half", apply: (state) => truncateSync(state, statSync(state).size >> 1) },
  { name: "cut inside a page", apply: (state) => truncateSync(state, 5_000) },
  { name: "all garbage", apply: (state) => writeFileSync(state, garbage) },
  { name: "garbage behind a good header", apply: overwriteBehindHeader },
  {
    name: "a directory",
    apply: (state) => {
      rmSync(state);
      mkdirSync(state);
    },
  },
  {
    name: "deleted, and no copy is left",
    withoutCopies: true,
    apply: (state) => rmSync(state),
  },
  {
    name: "all garbage, and no copy is left",
    withoutCopies: true,
    apply: (state) => writeFileSync(state, garbage),
  },
];

function overwriteBehindHeader(state: string): void {
  const bytes = readFileSync(state);
  garbage.copy(bytes, 4_096);
  writeFileSync(state, bytes);
}

async function withRoot(run: (root: string) => Promise<void>): Promise<void> {
  const folder = temporaryDirectory();
  try {
    await run(join(folder, "root"));
  } finally {
    await unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Labels, options and files of all sorts. */
async function fillRoot(daemon: RunningDaemon): Promise<readonly Volume[]> {
  const client = new Client(daemon.socketPath);
  const labels = { a: "1", __proto__x: "2", ключ: "\u2028" };
  const create = (body: unknown) => client.expect(201, "POST", "/volumes/create", body);
  await create({ Name: "plain" });
  await create({ Name: "labelled", Labels: labels });
  await create({ Name: "anonymous-like", Labels: { "com.docker.volume.anonymous": "" } });
  await create({ Name: "scratch", DriverOpts: scratchOptions, Labels: { of: "scratch" } });
  for (const name of plainNames) {
    await client.expect(200, "PUT", holderPath(name, "writer"));
    writeFileSync(join(daemon.root, "volumes", name, "_data/file"), `data of ${name}`);
  }
  return await client.volumes();
}

function expectData(root: string): void {
  for (const name of plainNames) {
    const file = join(root, "volumes", name, "_data/file");
    expect(readFileSync(file, "utf8")).toBe(`data of ${name}`);
  }
}

/** In a stable order, and with what is only in the copies left out when there are none. */
function comparable(volumes: readonly Volume[], withoutCopies: boolean): readonly unknown[] {
  return volumes
    .toSorted((left, right) => (left.Name < right.Name ? -1 : 1))
    .map((volume) => (withoutCopies ? { ...volume, Labels: null, CreatedAt: "" } : volume));
}

/** The sentence of GET /info with the machine's own words taken out. */
function normalised(warning: string, root: string): string {
  return warning
    .replaceAll(root, "ROOT")
    .replaceAll(/damaged-\d{8}T\d{9}Z/g, "damaged-TIME")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
}

const lost = /^The state was lost or damaged, .+; labels are those of TIME\.$/;
const lostWithLabels =
  /^The state was lost or damaged, .+; no copy of it could be read: labels are lost\.$/;

for (const end of ["stop", "kill"] as const) {
  test.each(damages)(`state.db $name, after a ${end}`, ({ apply, withoutCopies = false }) =>
    withRoot(async (root) => {
      let volumes: readonly Volume[];
      {
        await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
        volumes = await fillRoot(daemon);
      }
      const last = await startDaemon({ root, parameters: purgingAtOnce });
      await last[end]();
      const state = join(root, "state.db");
      apply(state);
      if (withoutCopies) removeCopies(root);

      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      const client = new Client(daemon.socketPath);
      const found = await client.volumes();
      expect(comparable(found, withoutCopies)).toEqual(comparable(volumes, withoutCopies));
      if (withoutCopies) expect(found.every(({ Labels }) => Labels === null)).toBe(true);
      expectData(root);
      const warnings = (await client.warnings()).map((each) => normalised(each, root));
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(withoutCopies ? lostWithLabels : lost);
      // What is damaged is put aside, never deleted.
      const isAside = readdirSync(root).some((name) => /^state\.db\.damaged-[\dTZ]+$/.test(name));
      expect(isAside).toBe(warnings[0]?.includes("(kept as ROOT/state.db.damaged-TIME)") === true);
      await client.expect(201, "POST", "/volumes/create", { Name: "next" });
    }),
  );
}

function removeCopies(root: string): void {
  for (const name of readdirSync(root)) {
    if (name.startsWith("state.copy")) rmSync(join(root, name));
  }
}

test("what is newer than the copy is there without labels, and what is in it has them", () =>
  withRoot(async (root) => {
    {
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      await fillRoot(daemon);
    }
    const daemon = await startDaemon({ root, parameters: purgingAtOnce });
    const client = new Client(daemon.socketPath);
    const newer = { Name: "newer", Labels: { lost: "yes" } };
    await client.expect(201, "POST", "/volumes/create", newer);
    const optioned = { Name: "optioned", DriverOpts: scratchOptions };
    await client.expect(201, "POST", "/volumes/create", optioned);
    await daemon.kill();
    rmSync(join(root, "state.db"));

    await using again = await startDaemon({ root, parameters: purgingAtOnce });
    const found = new Map(
      (await new Client(again.socketPath).volumes()).map((volume) => [volume.Name, volume]),
    );
    expect([...found.keys()].sort()).toEqual(
      [...plainNames, "newer", "optioned", "scratch"].sort(),
    );
    expect(found.get("newer")?.Labels).toBeNull();
    expect(found.get("labelled")?.Labels).toMatchObject({ a: "1" });
    expect(found.get("scratch")).toMatchObject({
      Options: scratchOptions,
      Labels: { of: "scratch" },
    });
    expect(found.get("optioned")).toMatchObject({ Options: scratchOptions, Labels: null });
    expectData(root);
  }));

/** Two volumes in a copy, then both removed: `used` had been mounted. */
async function removedSinceCopy(root: string): Promise<RunningDaemon> {
  {
    await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
    const client = new Client(daemon.socketPath);
    for (const Name of ["gone", "used", "kept"]) {
      await client.expect(201, "POST", "/volumes/create", { Name });
    }
    await client.expect(200, "PUT", holderPath("used", "c1"));
    await client.expect(204, "DELETE", holderPath("used", "c1"));
  }
  const daemon = await startDaemon({ root, parameters: purgingAtOnce });
  const client = new Client(daemon.socketPath);
  for (const name of ["gone", "used"]) await client.expect(204, "DELETE", `/volumes/${name}`);
  await untilTrashIsEmpty(root);
  return daemon;
}

function loseState(root: string): void {
  for (const file of readdirSync(root)) {
    if (file.startsWith("state.db")) rmSync(join(root, file));
  }
}

test("what was removed since the copy was written is there again, and a warning says so", () =>
  withRoot(async (root) => {
    const daemon = await removedSinceCopy(root);
    await daemon.kill();
    loseState(root);
    await using again = await startDaemon({ root, parameters: purgingAtOnce });
    const client = new Client(again.socketPath);
    expect((await client.volumes()).map(({ Name }) => Name).sort()).toEqual([
      ...["gone", "kept", "used"],
    ]);
    const warnings = (await client.warnings()).map((each) => normalised(each, root));
    expect(warnings).toEqual([
      "The state was lost or damaged, ROOT/state.db is missing; labels are those of TIME.",
      "2 of the volumes of TIME were not whole: 1 was made again, empty (gone), 1 is missing " +
        "(used). They may have been removed since: if so, remove them again.",
      "The data directory is missing of: used.",
    ]);
  }));

test(
  "the copy follows removals in seconds",
  () =>
    withRoot(async (root) => {
      const daemon = await removedSinceCopy(root);
      const copy = join(root, "state.copy");
      await eventually(() => (readFileSync(copy, "utf8").includes('"gone"') ? undefined : true), {
        timeoutMs: 20_000,
        otherwise: () => "the copy still has what was removed",
      });
      await daemon.kill();
      loseState(root);
      await using again = await startDaemon({ root, parameters: purgingAtOnce });
      const client = new Client(again.socketPath);
      expect((await client.volumes()).map(({ Name }) => Name)).toEqual(["kept"]);
    }),
  60_000,
);

test("a damaged newest copy: the one before it counts", () =>
  withRoot(async (root) => {
    for (let life = 0; life < 2; life++) {
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      if (life === 0) await fillRoot(daemon);
      const body = { Name: `life${life}`, Labels: { life: String(life) } };
      await new Client(daemon.socketPath).expect(201, "POST", "/volumes/create", body);
    }
    expect(existsSync(join(root, "state.copy.1"))).toBe(true);
    writeFileSync(join(root, "state.copy"), garbage);
    writeFileSync(join(root, "state.db"), garbage);
    await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
    const volumes = await new Client(daemon.socketPath).volumes();
    const warnings = await new Client(daemon.socketPath).warnings();
    expect(warnings[0]).toStartWith("The state was lost or damaged, its newest copy too: ");
    const labels = (name: string) => volumes.find(({ Name }) => Name === name)?.Labels;
    expect(labels("labelled")).toMatchObject({ a: "1" });
    expect(labels("life0")).toEqual({ life: "0" });
    expect(labels("life1")).toBeNull();
    expectData(root);
  }));

test("an older copy's options never hide what lies in a directory", () =>
  withRoot(async (root) => {
    const reused = { Name: "reused", DriverOpts: scratchOptions };
    {
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      await new Client(daemon.socketPath).expect(201, "POST", "/volumes/create", reused);
    }
    const copy = join(root, "state.copy");
    cpSync(copy, `${root}.copy`);
    {
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      const client = new Client(daemon.socketPath);
      await client.expect(204, "DELETE", "/volumes/reused");
      await client.expect(201, "POST", "/volumes/create", { Name: "reused" });
      writeFileSync(join(root, "volumes/reused/_data/file"), "data");
    }
    rmSync(join(root, "state.db"));
    rmSync(join(root, "state.copy.1"), { force: true });
    cpSync(`${root}.copy`, copy);
    await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
    const client = new Client(daemon.socketPath);
    await client.expect(200, "PUT", holderPath("reused", "reader"));
    expect(readFileSync(join(root, "volumes/reused/_data/file"), "utf8")).toBe("data");
    const volume = await client.expect(200, "GET", "/volumes/reused");
    expect(volume).toMatchObject({ Options: null });
  }));

whenPossible(
  ["root", "mount"],
  "a mount point that a power cut took is made again by the mount",
  () =>
    withRoot(async (root) => {
      {
        await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
        await fillRoot(daemon);
      }
      rmSync(join(root, "volumes/scratch/_data"), { recursive: true });
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      const client = new Client(daemon.socketPath);
      expect(needs("mount").skip).toBeUndefined();
      await client.expect(200, "PUT", holderPath("scratch", "holder"));
      await client.expect(204, "DELETE", holderPath("scratch", "holder"));
      await client.expect(204, "DELETE", "/volumes/scratch");
    }),
);

whenPossible(
  ["root", "mount"],
  "options that a crash left unwritten are written by the start",
  () =>
    withRoot(async (root) => {
      {
        await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
        await fillRoot(daemon);
      }
      rmSync(join(root, "volumes/scratch/opts.json"));
      await using daemon = await startDaemon({ root, parameters: purgingAtOnce });
      const client = new Client(daemon.socketPath);
      await client.expect(200, "PUT", holderPath("scratch", "holder"));
      const mounts = readFileSync("/proc/self/mounts", "utf8");
      expect(mounts).toContain(` ${root}/volumes/scratch/_data tmpfs `);
    }),
);
