// Readers in a tight loop, in a container too, while trees are published and rolled back.
import { afterAll, beforeAll, expect } from "bun:test";
import { join } from "node:path";
import { eventually, startChild, stopChild } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { tarOf } from "../support/tar-maker.ts";
import { testImage } from "../support/test-image.ts";
import { PublishBench, siteParts } from "./bench.ts";

const timeoutMs = 120_000;
const publishCount = 12;

interface Seen {
  readonly loops: number;
  readonly faults: readonly string[];
  readonly versions: readonly string[];
}

/** What a reader of a directory sees while work goes on. */
async function seenDuring(directory: string, work: () => Promise<void>): Promise<Seen> {
  const reader = startChild(process.execPath, [
    join(import.meta.dir, "reader.fixture.ts"),
    directory,
  ]);
  let printed = "";
  reader.stdout?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const lines = (count: number) =>
    eventually(() => (printed.split("\n").length > count ? printed.split("\n") : undefined), {
      timeoutMs: 60_000,
      otherwise: () => `the reader said ${printed}`,
    });
  try {
    await lines(1);
    await work();
    reader.stdin?.end();
    const [, answer = ""] = await lines(2);
    return JSON.parse(answer) as Seen; // What the fixture prints.
  } finally {
    await stopChild(reader);
  }
}

whenPossible(
  ["root", "mount"],
  "a reader never sees a mix, a part, or nothing",
  async () => {
    await using bench = new PublishBench();
    await bench.start();
    await bench.createVolume("assets");
    expect(await bench.put("assets:/www", siteParts(0))).toMatchObject({ method: "create" });
    const seen = await seenDuring(join(bench.dataOf("assets"), "www"), async () => {
      for (let version = 1; version <= publishCount; version++) {
        expect(await bench.put("assets:/www", siteParts(version))).toMatchObject({
          ...{ status: 200, method: "exchange", kept: 1 },
        });
        if (version % 4 === 0)
          expect(await bench.rollBack("assets:/www")).toMatchObject({ status: 200 });
      }
    });
    expect(seen.faults).toEqual([]);
    expect(seen.loops).toBeGreaterThan(200);
    expect(seen.versions.length).toBeGreaterThan(publishCount / 2);
  },
  timeoutMs,
);

const ofDocker: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
let bench: HoldsBench | undefined;
beforeAll(async () => {
  if (needs(...ofDocker).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

/** `cd` looks the directory up once; what is read in it is of one tree. */
const script = `
touch /tmp/begun
n=0
while [ ! -e /tmp/end ]; do
  cd /data/www || echo "no directory"
  a=$(sort -u a) && b=$(sort -u sub/b) || echo "no file"
  [ "$a" = "$b" ] || echo "a mix of $a and $b"
  c=$(wc -l < /data/www/a)
  [ "$c" = 500 ] || echo "$c lines"
  n=$((n + 1))
done
echo "rounds $n"`;

whenPossible(
  ofDocker,
  "neither does one in a container, whose volume is read-only for containers",
  async () => {
    if (bench === undefined) throw new Error("there is no bench");
    await bench.createVolume("pages", "sharing=readonly");
    const put = async (version: number) => {
      const url = "http://holdfast/holdfast/v1/volumes/pages/publish?path=/www";
      const body = tarOf(...siteParts(version));
      const unix = bench?.daemon.socketPath ?? "";
      return (await fetch(url, { method: "PUT", body, unix })).status;
    };
    expect(await put(0)).toBe(200);
    const words = ["--name", "reader", "--network", "none", "-v", "pages:/data:ro", testImage];
    await bench.docker("run", "-d", ...words, "sh", "-c", script);
    const begun = () =>
      bench?.docker("exec", "reader", "test", "-e", "/tmp/begun").then(
        () => true,
        () => undefined,
      );
    await eventually(async () => await begun(), {
      timeoutMs: 20_000,
      otherwise: () => "the reader has not begun",
    });
    for (let version = 1; version <= publishCount; version++) expect(await put(version)).toBe(200);
    await bench.docker("exec", "reader", "touch", "/tmp/end");
    await bench.docker("wait", "reader");
    const said = await bench.docker("logs", "reader");
    expect(said).toMatch(/^rounds \d{2,}$/);
    await bench.docker("rm", "-f", "reader");
  },
  timeoutMs,
);
