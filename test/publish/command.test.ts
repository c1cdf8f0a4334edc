// `holdfast volume publish` as people and scripts use it: words, exit codes, a tar on its input.
import { afterAll, beforeAll, expect } from "bun:test";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { madeDirectory, PublishBench } from "./bench.ts";

const requirements: readonly Requirement[] = ["root", "mount"];
const timeoutMs = 60_000;

let bench: PublishBench;
let site: string;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new PublishBench();
  await bench.start();
  await bench.createVolume("assets");
  site = madeDirectory(bench.folder, "site");
  mkdirSync(join(site, "css"), { mode: 0o750 });
  writeFileSync(join(site, "css/a.css"), "body {}", { mode: 0o640 });
  writeFileSync(join(site, `${"ä long name ".repeat(12)}.html`), "x");
  symlinkSync("css/a.css", join(site, "link"));
  utimesSync(join(site, "css"), 1_000_000, 1_000_000);
  symlinkSync(site, join(bench.folder, "current"));
}, timeoutMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), timeoutMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, timeoutMs);
}

when("says what it did and what readers can rely on", async () => {
  const first = await bench.holdfast("volume", "publish", site, "assets:/www");
  expect(first).toMatchObject({ exit: 0, stderr: "" });
  expect(first.stdout).toMatch(/^published \S+ to assets:\/www \(2 files, 8B\) in \d+\.\d s\n/);
  expect(first.stdout).toInclude("readers see nothing or the whole new tree");
  expect(first.stdout).not.toInclude("--rollback");
  // A symbolic link that is named leads to what is meant.
  const again = await bench.holdfast(
    "volume",
    "publish",
    join(bench.folder, "current"),
    "assets:/www",
  );
  expect(again.stdout).toInclude("is kept: holdfast volume publish --rollback assets:/www\n");
  const www = join(bench.dataOf("assets"), "www");
  expect(readFileSync(join(www, "link"), "utf8")).toBe("body {}");
  const { mode, mtimeMs } = statSync(join(www, "css"));
  expect([mode & 0o777, mtimeMs]).toEqual([0o750, 1_000_000_000]);
  expect(statSync(join(www, "css/a.css")).mode & 0o777).toBe(0o640);
});

when("a name need not be UTF-8", async () => {
  const old = madeDirectory(bench.folder, "old");
  const bytes = (text: string) => Buffer.from(text, "latin1");
  const names = ["caf\xe9", `${"\xfc".repeat(120)}.html`];
  for (const name of names) writeFileSync(bytes(`${old}/${name}`), name);
  symlinkSync(bytes("caf\xe9"), bytes(`${old}/\xe9`));
  const said = await bench.holdfast("volume", "publish", old, "assets:/old");
  expect(said).toMatchObject({ exit: 0, stderr: "" });
  const place = join(bench.dataOf("assets"), "old");
  const found = readdirSync(place, { encoding: "buffer" });
  expect(found.map((name) => name.toString("latin1")).sort()).toEqual([...names, "\xe9"].sort());
  expect(readFileSync(bytes(`${place}/\xe9`), "utf8")).toBe("caf\xe9");
});

when("takes a tar on its standard input, and answers in JSON", async () => {
  const tar = join(bench.folder, "site.tar");
  await runToEnd("tar", ["-c", "-f", tar, "-C", site, "."], { timeoutMs });
  // A file as the standard input, which a shell would open.
  const script = 'exec "$@" < "$0"';
  const before = ["sh", "-c", script, tar];
  const words = ["volume", "publish", "--json", "--keep", "3", "-", "assets:/www"];
  const done = await bench.holdfastAs(before, ...words);
  expect(done).toMatchObject({ exit: 0, stderr: "" });
  expect(JSON.parse(done.stdout)).toMatchObject({
    ...{ volume: "assets", path: "/www", method: "exchange", kept: 2, removed: 0 },
    tree: { files: 2, directories: 1, links: 1, bytes: 8, leftOut: [] },
  });
});

when("rolls back and forth", async () => {
  const back = await bench.holdfast("volume", "publish", "--rollback", "assets:/www");
  expect(back).toMatchObject({ exit: 0, stderr: "" });
  expect(back.stdout).toStartWith("rolled assets:/www back to the tree before\n");
  const json = await bench.holdfast("volume", "publish", "--rollback", "--json", "assets:/www");
  expect(JSON.parse(json.stdout)).toMatchObject({ method: "exchange", tree: null });
});

when("refuses what it cannot do, with a code for scripts and a way out", async () => {
  const cases: readonly (readonly [exit: number, words: string, ...of: string[]])[] = [
    [2, "what is published is missing", "assets:/www"],
    [2, "--rollback takes VOLUME:/PATH alone", "--rollback", "x", "assets:/www"],
    [2, "is no VOLUME:/PATH", site, "assets"],
    [2, "is no VOLUME:/PATH", site, "assets:www"],
    [2, "is no directory", "/etc/hostname", "assets:/www"],
    [1, "no such file or directory", "/no/such/site", "assets:/www"],
    [2, "the volume itself cannot be exchanged", site, "assets:/"],
    [2, "UID or UID:GID is needed", "--owner", "me", site, "assets:/www"],
    [2, "a whole number from 0 to 100", "--keep", "many", site, "assets:/www"],
    [3, "no such volume", site, "none:/www"],
    [3, "no tree is kept for a roll-back", "--rollback", "assets:/other"],
  ];
  for (const [exit, words, ...given] of cases) {
    const ended = await bench.holdfast("volume", "publish", ...given);
    expect({ given, exit: ended.exit, stdout: ended.stdout }).toEqual({ given, exit, stdout: "" });
    expect(ended.stderr).toInclude(words);
  }
});
