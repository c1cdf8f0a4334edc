// How a podman was told which storage to use, and its engine's key, which can tell it again.
//
// Two podmans see the same containers when they use the same storage. The words that choose it are
// flags and variables of each single call, and the call that ends a container (`podman container
// cleanup`, started by conmon) spells all of them out. So an engine is its root directory, and the
// words of the first call that used it are kept with it.
import { readFileSync, readlinkSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "smol-toml";
import { fields } from "./json-values.ts";
import { argumentsOf, variableOf } from "./processes.ts";

export interface PodmanWords {
  /** The directory of images and containers: what the engine is known by. */
  readonly root: string;
  /** `NAME=value`, for env(1). */
  readonly variables: readonly string[];
  /** `--name=value`. */
  readonly flags: readonly string[];
}

/** Those that decide which containers there are, or how one is stopped. */
const kept = [
  "root",
  "runroot",
  "storage-driver",
  "storage-opt",
  "tmpdir",
  "cgroup-manager",
  "runtime",
  "module",
] as const;
const directories: ReadonlySet<string> = new Set(["root", "runroot", "tmpdir"]);
const variables = ["CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF"];

/** Global flags that stand alone; after every other one the next word is its value. */
const valueless = /^(?:-[rhv]|--(?:remote|syslog|trace|transient-store|noout|rmi|help|version))$/;

const storageFiles = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];
const defaultRoot = "/var/lib/containers/storage";

/** Undefined when the process is gone, or is a client of a podman elsewhere. */
export function wordsOf(pid: number): PodmanWords | undefined {
  const given = argumentsOf(pid);
  const cwd = cwdOf(pid);
  // A program that has just been started has no arguments yet.
  if (given === undefined || given.length === 0 || cwd === undefined) return undefined;
  const flags = globalFlags(given.slice(1));
  const inCwd = (name: string, value: string) =>
    directories.has(name) || (name === "runtime" && value.includes("/"))
      ? resolve(cwd, value)
      : value;
  const settings = kept.flatMap((name) =>
    flags
      .filter((flag) => flag.name === name && flag.value !== "")
      .map(({ value }) => ({ name, value: inCwd(name, value) })),
  );
  const environment = variables.flatMap((name) => {
    const value = variableOf(pid, name);
    return value === undefined || value === "" ? [] : [{ name, value: resolve(cwd, value) }];
  });
  const storage = environment.find(({ name }) => name === "CONTAINERS_STORAGE_CONF")?.value;
  return {
    root: settings.findLast(({ name }) => name === "root")?.value ?? configuredRoot(storage),
    variables: environment.map(({ name, value }) => `${name}=${value}`),
    flags: settings.map(({ name, value }) => `--${name}=${value}`),
  };
}

/** `podman:/root` and the words, a space between each two. */
export function keyOf({ root, variables: assignments, flags }: PodmanWords): string {
  return `podman:${[root, ...assignments, ...flags].map(escaped).join(" ")}`;
}

/** The opposite of `keyOf`; undefined for what it cannot have made. */
export function wordsOfKey(key: string): PodmanWords | undefined {
  if (!key.startsWith("podman:/")) return undefined;
  const [root = "", ...words] = key.slice("podman:".length).split(" ").map(unescaped);
  const assignments = words.filter((word) => variables.includes(word.replace(/=.*/s, "")));
  const flags = words.filter((word) => kept.some((name) => word.startsWith(`--${name}=`)));
  if (assignments.length + flags.length !== words.length) return undefined;
  return { root, variables: assignments, flags };
}

interface Flag {
  readonly name: string;
  readonly value: string;
}

/** What stands before the command: `--root /x run -v …` has one. */
function globalFlags(words: readonly string[]): readonly Flag[] {
  const found: Flag[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!word.startsWith("-") || word === "--") break;
    if (valueless.test(word)) continue;
    const [, name, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) break;
    if (value === undefined) index += 1;
    found.push({ name, value: value ?? words[index] ?? "" });
  }
  return found;
}

function cwdOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** `graphroot` of the first storage.conf that has one. */
function configuredRoot(file: string | undefined): string {
  for (const candidate of file === undefined ? storageFiles : [file]) {
    const root = graphRoot(candidate);
    if (root !== undefined) return root;
  }
  return defaultRoot;
}

function graphRoot(file: string): string | undefined {
  try {
    const root = fields(fields(parse(readFileSync(file, "utf8")))["storage"])["graphroot"];
    return typeof root === "string" && root.startsWith("/") ? root : undefined;
  } catch {
    // It is not there, or podman refuses to work with it too.
    return undefined;
  }
}

function escaped(word: string): string {
  return word.replace(/[%\s]/g, (character) => encodeURIComponent(character));
}

function unescaped(word: string): string {
  return word.replace(/(?:%[0-9A-F]{2})+/g, (code) => decodeURIComponent(code));
}
