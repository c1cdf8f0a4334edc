// `docker plugin install` from registries that die, lie and send what is hostile: a clear error,
// nothing left anywhere, and the next good installation works.
import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { writeManifest } from "../../src/plugins/registry/manifest.ts";
import { eventually, runToEnd } from "../support/child.ts";
import { type Fault, type FaultRegistry, startFaultRegistry } from "../support/fault-registry.ts";
import { needs, whenPossible } from "../support/needs.ts";
import { PluginHouse } from "../support/plugin-house.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { type TarPart, tarOf } from "../support/tar-maker.ts";

const needed = ["root", "mount", "docker-cli", "plugin-runtime"] as const;
const commandTimeoutMs = 30_000;
const patienceMs = 20_000;
const testTimeoutMs = 120_000;
/** The disk that plugins lie on is small: a bomb would fill it. */
const diskBytes = 96 * 1024 * 1024;
/** What an installation that failed may still take of the disk: blocks of directories, the log. */
const diskSlackBytes = 1024 * 1024;
const memoryBytesMax = 200 * 1024 * 1024;
const manifestType = "application/vnd.docker.distribution.manifest.v2+json";

const house = new PluginHouse();
const plugins = join(house.root, "plugins");
/** What nothing may be written into, through whatever link. */
const outside = join(house.folder, "outside");
let registry: FaultRegistry;
let layer: Uint8Array;
let config: Uint8Array;
/** It is asked again and again for 15 s: the others do not wait for that. */
let dying: Promise<void>;

beforeAll(async () => {
  if (needs(...needed).skip !== undefined) return;
  mkdirSync(plugins, { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "as it was");
  await command("mount", "-t", "tmpfs", "-o", `size=${diskBytes}`, "holdfast-test", plugins);
  const made = join(house.folder, "plugin");
  const { configPath } = await makePluginRootfs(made, "rootfs");
  config = readFileSync(configPath);
  // It does not shrink: there is a middle of it.
  writeFileSync(join(made, "rootfs/random"), randomBytes(3 * 1024 * 1024));
  const packed = join(house.folder, "layer.tar.gz");
  await command("tar", "-C", join(made, "rootfs"), "-czf", packed, ".");
  layer = readFileSync(packed);
  registry = await startFaultRegistry();
  registry.add({ path: "good", tag: "v1" }, [layer], config);
  await house.start();
  dying = pullFromDying();
  // Whoever waits for it is told.
  dying.catch(() => undefined);
});

afterEach(() => registry?.behave());

afterAll(async () => {
  await dying?.catch(() => undefined);
  await house[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

async function command(program: string, ...words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, words, { timeoutMs: commandTimeoutMs });
  if (exit !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
}

const install = (name: string, remote = `${registry.host}/${name}:v1`, where = house) =>
  where.run("plugin", "install", "--grant-all-permissions", "--alias", "vp", remote);

/** Beside the others, with a daemon and a registry of its own. */
async function pullFromDying(): Promise<void> {
  await using other = await startFaultRegistry();
  await using place = new PluginHouse();
  other.add({ path: "good", tag: "v1" }, [layer], config);
  await place.start();
  const where = new RegExp(`GET /v2/good/blobs/${digestOf(layer)}`);
  other.misbehave(where, { do: "cut", afterBytes: 1_000_000 }, 1);
  other.misbehave(where, { do: "hang-up" });
  const remote = `${other.host}/good:v1`;
  const { exit, stdout, stderr } = await install("good", remote, place);
  expect([exit, stdout + stderr]).toEqual([1, expect.stringMatching(/unexpected EOF/)]);
  expect(place.records()).toEqual([]);
  await place.becomesWhole("after a registry that died");
  other.behave();
  expect((await install("good", remote, place)).stdout).toContain("Installed plugin");
  await place.docker("plugin", "rm", "--force", "vp");
}

function usedBytes(): number {
  const { blocks, bfree, bsize } = statfsSync(plugins);
  return (blocks - bfree) * bsize;
}

/** The good one can be installed, runs, and can be removed. */
async function nextWorks(): Promise<void> {
  expect((await install("good")).stdout).toContain("Installed plugin");
  await house.becomesWhole("after a good installation");
  await house.docker("plugin", "rm", "--force", "vp");
  await house.becomesWhole("after a removal");
}

async function refused(name: string, words: RegExp): Promise<void> {
  const before = { used: usedBytes(), memory: house.memoryBytes() };
  const { exit, stdout, stderr } = await install(name);
  expect([exit, stdout + stderr]).toEqual([1, expect.stringMatching(words)]);
  expect(house.records()).toEqual([]);
  await house.becomesWhole(`after the refusal of ${name}`);
  expect(usedBytes() - before.used).toBeLessThan(diskSlackBytes);
  expect(house.memoryBytes() - before.memory).toBeLessThan(memoryBytesMax);
  outsideIsUntouched();
}

function outsideIsUntouched(): void {
  expect(readdirSync(outside)).toEqual(["file"]);
  expect(readFileSync(join(outside, "file"), "utf8")).toBe("as it was");
}

interface Lie {
  readonly title: string;
  readonly which: "manifests" | "layer" | "config";
  readonly fault: (bytes: Uint8Array) => Fault;
  readonly words: RegExp;
}

const digestWords = /digest|verification|checksum/i;
const lies: readonly Lie[] = [
  {
    title: "has another layer of the same length under the digest",
    which: "layer",
    fault: ({ length }) => ({ do: "replace", body: randomBytes(length) }),
    words: digestWords,
  },
  {
    title: "has a shorter layer under the digest",
    which: "layer",
    fault: (bytes) => ({ do: "replace", body: bytes.subarray(0, 1_000) }),
    words: /size|bytes|short|long|digest|verification/i,
  },
  {
    title: "sends a layer without end",
    which: "layer",
    fault: () => ({ do: "flood" }),
    words: /size|bytes|long|more/i,
  },
  {
    title: "has another config under the digest",
    which: "config",
    fault: ({ length }) => ({ do: "replace", body: Buffer.alloc(length, " ") }),
    words: digestWords,
  },
  {
    title: "has a manifest of 100 MB",
    which: "manifests",
    fault: () => ({ do: "replace", body: Buffer.alloc(100_000_000, " ") }),
    words: /manifest|large|bytes|long/i,
  },
  {
    title: "has a manifest without end",
    which: "manifests",
    fault: () => ({ do: "flood" }),
    words: /manifest|large|bytes|long/i,
  },
  {
    title: "has a manifest that is none",
    which: "manifests",
    fault: () => ({ do: "replace", body: Buffer.from("{") }),
    words: /manifest|JSON/i,
  },
];

for (const { title, which, fault, words } of lies) {
  whenPossible(
    needed,
    `a registry that ${title}`,
    async () => {
      const bytes = which === "layer" ? layer : which === "config" ? config : new Uint8Array();
      const digest = which === "manifests" ? "" : digestOf(bytes);
      const where = new RegExp(`GET /v2/good/${which === "manifests" ? which : "blobs"}/${digest}`);
      registry.misbehave(where, fault(bytes));
      await refused("good", words);
      registry.behave();
      await nextWorks();
    },
    testTimeoutMs,
  );
}

whenPossible(
  needed,
  "a manifest that says another size of its layer",
  async () => {
    for (const difference of [-1, 1]) {
      const name = { path: `size${difference + 1}`, tag: "v1" };
      const described = [{ digest: digestOf(layer), size: layer.length + difference }];
      const ofConfig = { digest: digestOf(config), size: config.length };
      const manifest = Buffer.from(writeManifest(ofConfig, described)).toString("utf8");
      registry.addManifest(name, manifest, manifestType);
      await refused(name.path, /size|bytes|long|short|digest|end/i);
    }
    await nextWorks();
  },
  testTimeoutMs,
);

const link = (name: string, linkName: string): TarPart => ({ name, type: "2", linkName });
const hard = (name: string, linkName: string): TarPart => ({ name, type: "1", linkName });
const up = "../".repeat(12);

/** Layers, lowest first. Whether they are refused or put inside: nothing comes out. */
const hostile: Readonly<Record<string, readonly (readonly TarPart[])[]>> = {
  dots: [[{ name: `${up}${outside.slice(1)}/file`, data: "taken" }]],
  absolute: [[{ name: `${outside}/file`, data: "taken" }]],
  "a-link-then-a-file": [
    [link("way", outside), { name: "way/file", data: "taken" }, { name: "way/new", data: "new" }],
  ],
  "a-link-of-an-earlier-layer": [
    [link("way", outside), link("up", `${up}${outside.slice(1)}`)],
    [
      { name: "way/file", data: "taken" },
      { name: "up/new", data: "new" },
      { name: "way/.wh.file" },
      { name: "up/.wh..wh..opq" },
    ],
  ],
  "a-hard-link-out": [
    [hard("inside", `${outside}/file`), { name: "inside", data: "taken" }],
    [hard("other", `${up}${outside.slice(1)}/file`), { name: "other", data: "taken" }],
  ],
};

for (const [title, layers] of Object.entries(hostile)) {
  whenPossible(
    needed,
    `a layer with ${title.replaceAll("-", " ")}`,
    async () => {
      const packed = layers.map((parts) => gzipSync(tarOf(...parts)));
      registry.add({ path: title, tag: "v1" }, [layer, ...packed], config);
      const { exit, stderr } = await install(title);
      outsideIsUntouched();
      if (exit === 0) await house.docker("plugin", "rm", "--force", "vp");
      else expect(stderr).not.toBe("");
      await house.becomesWhole(`after ${title}`);
      outsideIsUntouched();
      await nextWorks();
    },
    testTimeoutMs,
  );
}

whenPossible(
  needed,
  "a layer that grows to many times the disk when it is unpacked",
  async () => {
    const bomb = gzipSync(tarOf({ name: "bomb", data: Buffer.alloc(4 * diskBytes) }));
    expect(bomb.length).toBeLessThan(1024 * 1024);
    registry.add({ path: "bomb", tag: "v1" }, [layer, bomb], config);
    let usedMax = 0;
    let isOver = false;
    const watching = eventually(
      () => {
        usedMax = Math.max(usedMax, usedBytes());
        return isOver || undefined;
      },
      { timeoutMs: testTimeoutMs, otherwise: () => "it does not end" },
    );
    await refused("bomb", /large|space|bytes|more/i);
    isOver = true;
    await watching;
    // Others write on that disk, too.
    expect(usedMax).toBeLessThan(diskBytes * 0.97);
    await nextWorks();
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "a registry that is killed in the middle of a layer, and the daemon that is",
  async () => {
    const other = await startFaultRegistry();
    try {
      other.add({ path: "good", tag: "v1" }, [layer], config);
      for (const victim of ["daemon", "registry"] as const) {
        other.misbehave(/blobs/, { do: "stall", afterBytes: 1_000_000 });
        const partial = join(plugins, "blobs/partial");
        const failed = install("good", `${other.host}/good:v1`);
        await eventually(() => (readdirSync(partial).length > 0 ? true : undefined), {
          timeoutMs: patienceMs,
          otherwise: () => "no layer comes",
        });
        if (victim === "daemon") await house.killAndStart();
        else await other[Symbol.asyncDispose]();
        expect((await failed).exit).toBe(1);
        expect(house.records()).toEqual([]);
        await house.becomesWhole(`after the end of the ${victim}`);
        await nextWorks();
        other.behave();
      }
    } finally {
      other.behave();
    }
  },
  testTimeoutMs,
);

whenPossible(
  needed,
  "a registry that dies in the middle of a layer, for good",
  () => dying,
  testTimeoutMs,
);

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
