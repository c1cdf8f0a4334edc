// What the tests of the trash do again and again: fill a volume, remove it, look at what is back.
import { expect } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import type { Requirement } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

/** What a Holdfast with a dockerd beside it needs. */
export const dockerRequirements: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox"] as const),
];

export const startMs = 120_000;
export const testMs = 60_000;
const commandTimeoutMs = 60_000;

export const dayMs = 86_400_000;

/** `holdfast trash ls --json` (src/api/holdfast/trash-contract.ts). */
export interface InTrash {
  readonly id: string;
  readonly name: string;
  readonly phase: "kept" | "purging";
  readonly removedAt: string;
  readonly removedBy: string;
  readonly purgesAt: string | null;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly protection: { readonly reason: string } | null;
  readonly wasAnonymous: boolean;
}

/** A line of `holdfast volume history --json` (src/api/holdfast/history-contract.ts). */
export interface Changed {
  readonly action: string;
  readonly volume: string;
  readonly by: string;
  readonly subject: string;
  readonly outcome: string;
}

/** Holdfast's own command line; throws, with its words, unless it ends with 0. */
export async function holdfast(bench: HoldsBench, ...words: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await bench.holdfast(...words);
  if (exit === 0) return stdout.trim();
  throw new Error(`holdfast ${words.join(" ")}: ${exit} ${stderr}`);
}

/** What Holdfast's command line says of what it refuses. */
export async function refusal(bench: HoldsBench, ...words: readonly string[]): Promise<string> {
  const { exit, stderr } = await bench.holdfast(...words);
  if (exit !== 0) return stderr.trim();
  throw new Error(`holdfast ${words.join(" ")} was not refused`);
}

/** A docker command line on Holdfast's own socket. */
export function onOwnSocket(
  bench: HoldsBench,
  program: string,
  ...words: readonly string[]
): Promise<Ended> {
  const host = ["--host", `unix://${bench.daemon.socketPath}`];
  return runToEnd(program, [...host, ...words], { timeoutMs: commandTimeoutMs });
}

export async function trash(bench: HoldsBench): Promise<readonly InTrash[]> {
  return rows<InTrash>(await holdfast(bench, "trash", "ls", "--json"));
}

/** The one entry of this name that can be restored. */
export async function keptAs(bench: HoldsBench, name: string): Promise<InTrash> {
  const found = (await trash(bench)).filter((row) => row.name === name && row.phase === "kept");
  const [entry] = found;
  if (entry === undefined || found.length > 1) throw new Error(`${found.length} ${name} are kept`);
  return entry;
}

/** How long it stays, in milliseconds; null: until somebody purges it. */
export function stayMs({ purgesAt, removedAt }: InTrash): number | null {
  return purgesAt === null ? null : Date.parse(purgesAt) - Date.parse(removedAt);
}

/** Newest first. */
export async function history(bench: HoldsBench, name: string): Promise<readonly Changed[]> {
  return rows<Changed>(await holdfast(bench, "volume", "history", "--json", name));
}

function rows<T>(text: string): readonly T[] {
  // Written by our own command line, whose contracts are tested elsewhere.
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
}

export function dataOf(bench: HoldsBench, volume: string): string {
  return join(bench.root, "volumes", volume, "_data");
}

/** Files with owners, modes and times that nothing would have by itself. */
export function fill(bench: HoldsBench, volume: string, text = volume): void {
  const data = dataOf(bench, volume);
  mkdirSync(join(data, "deep"));
  writeFileSync(join(data, "page"), text);
  writeFileSync(join(data, "deep/rows"), `${text} rows`);
  symlinkSync("deep/rows", join(data, "link"));
  chownSync(join(data, "deep/rows"), 70, 71);
  chmodSync(join(data, "deep/rows"), 0o4640);
  chownSync(join(data, "deep"), 999, 998);
  chmodSync(join(data, "deep"), 0o2750);
  utimesSync(join(data, "deep/rows"), 1_000_000_000, 1_100_000_000);
  chmodSync(data, 0o1751);
}

/** Everything below a directory: kind and mode, owner, time of change, and what is in it. */
export function treeOf(directory: string, path = "."): readonly string[] {
  const at = join(directory, path);
  const { mode, uid, gid, mtimeMs } = lstatSync(at);
  const own = `${path} ${mode.toString(8)} ${uid}:${gid} ${mtimeMs}`;
  switch (mode & 0o170_000) {
    case 0o040_000: {
      const names = readdirSync(at).toSorted();
      return [own, ...names.flatMap((name) => treeOf(directory, join(path, name)))];
    }
    case 0o120_000:
      return [`${own} -> ${readlinkSync(at)}`];
    default:
      return [`${own} ${readFileSync(at, "utf8")}`];
  }
}

/** What a container of dockerd, thrown away again, finds in the volume's file. */
export async function readBy(
  bench: HoldsBench,
  volume: string,
  file = "page",
  ...more: readonly string[]
): Promise<string> {
  const place = ["run", "--rm", "--network", "none", ...more, "-v", `${volume}:/v`];
  return await bench.docker(...place, testImage, "cat", `/v/${file}`);
}

/** Makes a volume with labels and options, removes it `how`, and has it back as it was. */
export async function comesBack(
  bench: HoldsBench,
  { name, by, how }: { name: string; by: string; how: () => Promise<unknown> },
): Promise<void> {
  const labels = { owner: "kim", "a.b/c": "d=e" };
  const words = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  await holdfast(bench, "volume", "create", ...words, "--opt", "sharing=onewriter", name);
  fill(bench, name);
  const before = treeOf(dataOf(bench, name));
  const [made] = JSON.parse(await holdfast(bench, "volume", "inspect", name));
  await how();
  const entry = await keptAs(bench, name);
  expect(entry).toMatchObject({ labels, options: { sharing: "onewriter" }, wasAnonymous: false });
  expect([entry.removedBy, stayMs(entry)]).toEqual([by, 7 * dayMs]);
  expect(await holdfast(bench, "trash", "restore", name)).toBe(name);
  expect(treeOf(dataOf(bench, name))).toEqual(before);
  const [back] = JSON.parse(await holdfast(bench, "volume", "inspect", name));
  expect(back).toEqual(made);
}
