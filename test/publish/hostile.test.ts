// What a publish must refuse, and what it must leave as it was: odd archives, clients that go away,
// a daemon that is killed, a full disk, somebody who exchanges directories under it.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../support/child.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { connectRaw, type RawClient } from "../support/raw-http-client.ts";
import { startSwapLoop } from "../support/swap-loop.ts";
import { type TarPart, tarEndBlocks, tarOf, tarPart } from "../support/tar-maker.ts";
import { madeDirectory, PublishBench, passing, siteParts } from "./bench.ts";

const requirements: readonly Requirement[] = ["root", "mount"];
const timeoutMs = 60_000;

/** How many files are written through a directory that is exchanged. */
const RACE_COUNT = 5_000;

let bench: PublishBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new PublishBench();
  await bench.start();
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, timeoutMs);
}

const versionAt = (directory: string) =>
  readFileSync(join(directory, "www/a"), "utf8").split("\n")[0];

/** A request whose body comes in pieces, each when the test wants it. */
async function begin(volume: string, first: Uint8Array): Promise<RawClient> {
  const client = await connectRaw(bench.daemon.socketPath);
  const path = `/holdfast/v1/volumes/${volume}/publish?path=/www`;
  client.send(`PUT ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
  sendPiece(client, first);
  return client;
}

function sendPiece(client: RawClient, piece: Uint8Array): void {
  client.send(`${piece.length.toString(16)}\r\n${Buffer.from(piece).toString("latin1")}\r\n`);
}

/** The hidden directory that is being unpacked, once it has something in it. */
async function staging(directory: string, file: string): Promise<string> {
  return await eventually(
    () =>
      passing(directory)
        .map((name) => join(directory, name))
        .find((path) => existsSync(join(path, file))),
    { timeoutMs: 20_000, otherwise: () => `no ${file}: ${bench.daemon.output()}` },
  );
}

describe("an archive", () => {
  const whole = tarOf(...siteParts(2));
  const device = { name: "null", type: "3", major: 1, minor: 3 };
  const cases: readonly (readonly [string, Uint8Array | readonly TarPart[], string])[] = [
    ["that leads upwards", [{ name: "../out", data: "x" }], "`..` in the name"],
    ["that leads upwards in the middle", [{ name: "a/../../out", data: "x" }], "`..` in the name"],
    ["with a device", [device], "a device is not published"],
    ["with a block device", [{ ...device, type: "4" }], "a device is not published"],
    ["with a pipe", [{ name: "pipe", type: "6" }], "a pipe is not published"],
    ["with a hard link out", [{ name: "l", type: "1", linkName: "../../x" }], "`..` in the name"],
    ["with a hard link to nothing", [{ name: "l", type: "1", linkName: "etc/passwd" }], "ENOENT"],
    ["that goes through a link out", throughLink(), "ENOENT"],
    ["that is cut in a file", whole.subarray(0, 1_000), "cut off"],
    ["that ends between two entries", whole.subarray(0, -tarEndBlocks.length), "cut off"],
    ["that is empty", new Uint8Array(0), "cut off"],
    ["that is none", Buffer.alloc(2_048, "x"), "damaged"],
    ["that is compressed", Bun.gzipSync(new Uint8Array(whole)), "compressed with gzip"],
    ["with something behind its end", Buffer.concat([whole, Buffer.alloc(512, "x")]), "follows"],
    ["that claims to be huge", [{ name: "f", size: 2 ** 50, data: "x" }], "larger than"],
    ["with a sparse file", [{ name: "f", pax: { "GNU.sparse.major": "1" } }], "sparse"],
  ];

  function throughLink(): readonly TarPart[] {
    return [
      { name: "out", type: "2", linkName: "/etc" },
      { name: "out/holdfast-was-here", data: "x" },
    ];
  }

  when("is refused, and nothing has changed", async () => {
    await bench.createVolume("odd");
    const data = bench.dataOf("odd");
    await bench.put("odd:/www", siteParts(1));
    for (const [what, archive, words] of cases) {
      const answer = await bench.put("odd:/www", archive);
      const { status, code } = answer;
      expect({ what, status, code }).toEqual({
        what,
        status: 400,
        code: "publish.archive_invalid",
      });
      expect(answer.message).toInclude(words);
    }
    expect(versionAt(data)).toBe("version 1");
    expect(readdirSync(data)).toEqual(["www"]);
    expect(existsSync("/etc/holdfast-was-here")).toBe(false);
    expect(await bench.holders("odd")).toEqual([]);
  });

  when("may have names that mean whiteouts elsewhere, and absolute ones", async () => {
    await bench.createVolume("names");
    const parts: readonly TarPart[] = [
      { name: "a", data: "kept" },
      { name: ".wh.a", data: "x" },
      { name: ".wh..wh..opq", data: "x" },
      { name: "/deep/down/file", data: "x" },
      { name: "link", type: "2", linkName: "/etc/passwd" },
      { name: "hard", type: "1", linkName: "/a" },
    ];
    expect(await bench.put("names:/www", parts)).toMatchObject({
      ...{ status: 200, tree: { files: 5, directories: 0, links: 1, leftOut: [] } },
    });
    const www = join(bench.dataOf("names"), "www");
    const names = [".wh..wh..opq", ".wh.a", "a", "deep", "hard", "link"];
    expect(readdirSync(www).sort()).toEqual(names);
    expect(readFileSync(join(www, "hard"), "utf8")).toBe("kept");
    expect(lstatSync(join(www, "link")).isSymbolicLink()).toBe(true);
    // The archive says nothing of its own directory: readers may enter it.
    expect(statSync(www).mode & 0o777).toBe(0o755);
  });
});

describe("paths", () => {
  when("of the volume itself, out of it, and through links and files are refused", async () => {
    await bench.createVolume("paths");
    const data = bench.dataOf("paths");
    symlinkSync("/tmp", join(data, "out"));
    writeFileSync(join(data, "file"), "");
    mkdirSync(join(data, "dir"));
    const invalid = ["/", "", "/.", "/../x", "/dir/../../x", "/none/www", "/out/www", "/file/www"];
    const long = `/${"x".repeat(201)}`;
    for (const path of [...invalid, "/.holdfast-mine", "/dir/.holdfast-x/www", long]) {
      const { status, code } = await bench.put(`paths:${path}`, siteParts(1));
      expect({ path, status, code }).toEqual({ path, status: 400, code: "publish.path_invalid" });
    }
    for (const path of ["/out", "/file"]) {
      expect(await bench.put(`paths:${path}`, siteParts(1))).toMatchObject({
        ...{ status: 409, code: "publish.target_unfit" },
      });
    }
    expect(await bench.put("paths:dir//www/", siteParts(1))).toMatchObject({ status: 200 });
    expect(readdirSync(data).sort()).toEqual(["dir", "file", "out"]);
  });
});

describe("what ends in the middle changes nothing, and leaves nothing", () => {
  when("a client that goes away", async () => {
    await bench.createVolume("gone");
    const data = bench.dataOf("gone");
    await bench.put("gone:/www", siteParts(1));
    const client = await begin("gone", tarPart({ name: "half", data: "x" }));
    await staging(data, "half");
    expect(await bench.holders("gone")).toEqual(["holdfast-publish:/www"]);
    client.socket.destroy();
    await bench.untilTidy("gone", data);
    expect([versionAt(data), readdirSync(data)]).toEqual(["version 1", ["www"]]);
  });

  when("a client that sends what is no body", async () => {
    const data = bench.dataOf("gone");
    const client = await begin("gone", tarPart({ name: "half", data: "x" }));
    await staging(data, "half");
    client.send("no chunk\r\n");
    await bench.untilTidy("gone", data);
    expect([versionAt(data), readdirSync(data)]).toEqual(["version 1", ["www"]]);
    client.socket.destroy();
  });

  when("a daemon that is killed", async () => {
    const data = bench.dataOf("gone");
    const client = await begin("gone", tarPart({ name: "half", data: "x" }));
    await staging(data, "half");
    await bench.daemon.kill();
    client.socket.destroy();
    expect(passing(data)).toHaveLength(1);
    await bench.start();
    await bench.untilTidy("gone", data);
    expect([versionAt(data), readdirSync(data)]).toEqual(["version 1", ["www"]]);
  });

  when("a disk that is full", async () => {
    const options = ["type=tmpfs", "device=tmpfs", "o=size=2m"];
    await bench.createVolume("small", ...options);
    // Its data goes with its last holder.
    const url = "http://holdfast/holdfast/v1/volumes/small/holders/test";
    const { daemon } = bench;
    const mounted = await fetch(url, { method: "PUT", unix: daemon.socketPath });
    const { path: data } = (await mounted.json()) as { readonly path: string };
    await bench.put("small:/www", siteParts(1));
    const large = [{ name: "large", data: new Uint8Array(4 * 1024 * 1024) }];
    expect(await bench.put("small:/www", large)).toMatchObject({
      ...{ status: 507, code: "storage.full" },
    });
    expect([versionAt(data), readdirSync(data)]).toEqual(["version 1", ["www"]]);
    expect(await bench.put("small:/www", siteParts(2))).toMatchObject({ status: 200 });
    expect(versionAt(data)).toBe("version 2");
    await fetch(url, { method: "DELETE", unix: daemon.socketPath });
  });

  when("storage that is read-only", async () => {
    const source = madeDirectory(bench.folder, "fixed");
    await bench.createVolume("fixed", "type=none", `device=${source}`, "o=bind,ro");
    expect(await bench.put("fixed:/www", siteParts(1))).toMatchObject({
      code: "storage.read_only",
    });
    expect(readdirSync(source)).toEqual([]);
  });
});

when("nothing is written elsewhere by somebody who exchanges directories", async () => {
  await bench.createVolume("raced");
  const data = bench.dataOf("raced");
  const outside = madeDirectory(bench.folder, "outside");
  // The same path within the tree: that is where the link below leads who has the tree as its root.
  const above = outside
    .split("/")
    .slice(1)
    .map((_, index, all) => all.slice(0, index + 1).join("/"));
  const parts = [
    ...above.map((name) => ({ name: `${name}/`, type: "5" })),
    ...["sub/", "sub/first"].map((name) => ({ name, type: name.endsWith("/") ? "5" : "0" })),
  ];
  const client = await begin("raced", Buffer.concat(parts.map(tarPart)));
  const tree = await staging(data, "sub/first");
  // As a container could that has the volume. Who looks `up` up in a directory that is just then
  // outside of the tree would be led to anywhere on the machine.
  const taken = madeDirectory(data, "taken");
  const up = `${"../".repeat(40)}${outside.slice(1)}`;
  for (const directory of [join(tree, "sub"), taken]) symlinkSync(up, join(directory, "up"));
  await using _swapping = await startSwapLoop(join(tree, "sub"), taken);
  for (let count = 0; count < RACE_COUNT; count++) {
    sendPiece(client, tarPart({ name: `sub/up/evil-${count}`, data: "x" }));
  }
  sendPiece(client, tarEndBlocks);
  client.send("0\r\n\r\n");
  const answer = await client.until((received) => received.includes("\r\n\r\n"));
  expect(readdirSync(outside)).toEqual([]);
  expect(answer).toMatch(/^HTTP\/1\.1 (?:200|400|409) /);
  client.socket.destroy();
  await bench.untilTidy("raced", data);
});

whenPossible(
  ["root", "mount"],
  "owners are root's to give, and others' files are their own",
  async () => {
    await bench.createVolume("owned");
    const site = madeDirectory(bench.folder, "site");
    writeFileSync(join(site, "file"), "x");
    chmodSync(join(site, "file"), 0o4755);
    chmodSync(bench.daemon.socketPath, 0o666);
    chmodSync(dirname(bench.daemon.socketPath), 0o755);
    chmodSync(bench.folder, 0o755);
    const file = join(bench.dataOf("owned"), "www/file");
    const owner = () => {
      const { uid, gid, mode } = statSync(file);
      return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
    };
    const publish = ["volume", "publish", site, "owned:/www"];
    expect(await bench.holdfast(...publish)).toMatchObject({ exit: 0 });
    expect(owner()).toBe("0:0 4755");
    expect(await bench.holdfast(...publish, "--owner", "12:34")).toMatchObject({ exit: 0 });
    expect(owner()).toBe("12:34 4755");
    const other = ["setpriv", "--reuid=1234", "--regid=1235", "--clear-groups"];
    expect(await bench.holdfastAs(other, ...publish)).toMatchObject({ exit: 0, stderr: "" });
    expect(owner()).toBe("1234:1235 755");
    expect(statSync(join(bench.dataOf("owned"), "www")).uid).toBe(1234);
  },
  timeoutMs,
);
