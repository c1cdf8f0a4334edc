// Where a secret is that must be nowhere: answers, logs, process lists, mount tables, files.
//
// A test makes a secret of a random marker, does what is to be done with it, and asks `findLeaks`
// for every place where the marker is found, as it is or encoded. `watchProcesses` looks at process
// lists all the while: what mounts lives for milliseconds.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { contract } from "../../src/api/holdfast/contract.ts";
import { OWN_PREFIX, type RouteContract } from "../../src/api/holdfast/route-contract.ts";

/** Files that are larger are read in pieces of it. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;
/** The pause between two looks at all processes. */
const lookAgainMs = 5;
/** How long an answer may take: a server that is gone must not hang the search. */
const answerMsMax = 20_000;

export interface LeakQuestion {
  /** The secret, or what is unmistakable in it: letters and digits, random, 12 or more. */
  readonly marker: string;
  /** A daemon that runs: its answers, its files, its mounts are searched. */
  readonly daemon: { readonly root: string; readonly socketPath: string; readonly pid: number };
  /** What else was seen, by what it is: the log, what commands have printed, errors. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Names that routes are asked for: volumes, secrets, aliases. */
  readonly names?: readonly string[];
  /**
   * Where the marker may be, for its owner alone: what is there and has it must have the mode 0600,
   * and each directory on the way 0700. `/run/holdfast/<hash>`.
   */
  readonly credentials?: string;
}

/** Every place that has the marker, in words; empty: it is nowhere. */
export async function findLeaks(question: LeakQuestion): Promise<readonly string[]> {
  const { marker, daemon, texts = {}, names = [], credentials } = question;
  const needles = needlesOf(marker);
  const found = Object.entries(texts)
    .filter(([, text]) => has(needles, Buffer.from(text)))
    .map(([what]) => `${what} has it`);
  found.push(...processesWith(needles));
  for (const pid of ["self", String(daemon.pid)]) {
    if (has(needles, readQuietly(`/proc/${pid}/mountinfo`))) found.push(`mountinfo of ${pid}`);
  }
  found.push(...filesWith(needles, daemon.root).map((file) => `file ${file}`));
  if (credentials !== undefined) found.push(...openCredentials(needles, credentials));
  for (const target of targetsOf(names)) {
    const answer = await answerOf(daemon.socketPath, target);
    if (has(needles, Buffer.from(answer))) found.push(`GET ${target}`);
  }
  return found;
}

/** Looks at the arguments and environments of all processes until it is disposed of. */
export interface ProcessWatch extends AsyncDisposable {
  /** Ends the watch; every process that had the marker. */
  found(): Promise<readonly string[]>;
  /** How often it has looked: a test that proves nothing is to be noticed. */
  readonly lookCount: number;
}

export function watchProcesses(marker: string): ProcessWatch {
  const needles = needlesOf(marker);
  const seen = new Set<string>();
  let hasEnded = false;
  let lookCount = 0;
  const watching = (async () => {
    while (!hasEnded) {
      for (const place of processesWith(needles)) seen.add(place);
      lookCount += 1;
      await Bun.sleep(lookAgainMs);
    }
  })();
  const end = async (): Promise<void> => {
    hasEnded = true;
    await watching;
  };
  return {
    found: async () => {
      await end();
      return [...seen];
    },
    get lookCount() {
      return lookCount;
    },
    [Symbol.asyncDispose]: end,
  };
}

/** As it is, in hex, and in base64 wherever it stands in what is encoded. */
function needlesOf(marker: string): readonly Buffer[] {
  if (!/^[A-Za-z0-9]{12,}$/.test(marker)) throw new Error("a marker is 12 letters and digits");
  const inBase64 = ["", "x", "xx"].map((before) => {
    const text = Buffer.from(`${before}${marker}`).toString("base64");
    // The first and the last characters depend on what stands around it.
    return text.slice(before === "" ? 0 : 4, Math.floor(text.length / 4) * 4 - 4);
  });
  const hex = Buffer.from(marker).toString("hex");
  return [marker, hex, hex.toUpperCase(), ...inBase64].map((text) => Buffer.from(text));
}

function has(needles: readonly Buffer[], bytes: Buffer): boolean {
  return needles.some((needle) => bytes.includes(needle));
}

function processesWith(needles: readonly Buffer[]): readonly string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const part of ["cmdline", "environ"]) {
      const bytes = readQuietly(`/proc/${pid}/${part}`);
      if (!has(needles, bytes)) continue;
      const [program = ""] = readQuietly(`/proc/${pid}/comm`).toString("utf8").split("\n");
      found.push(`${part} of process ${pid} (${program})`);
    }
  }
  return found;
}

/** Of the directory's own file system: what is mounted in it is somebody else's. */
function filesWith(needles: readonly Buffer[], directory: string): readonly string[] {
  const { dev } = statSync(directory);
  return filesBelow(directory, dev).filter((file) => {
    if (statSync(file).size > FILE_BYTES_MAX) throw new Error(`${file} is too large to be read`);
    return has(needles, readQuietly(file));
  });
}

function filesBelow(directory: string, device: number): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isFile()) return [path];
    if (!entry.isDirectory() || statSync(path).dev !== device) return [];
    return filesBelow(path, device);
  });
}

function openCredentials(needles: readonly Buffer[], directory: string): readonly string[] {
  const { dev } = statSync(directory);
  const open: string[] = [];
  const mode = (path: string) => statSync(path).mode & 0o777;
  for (const file of filesBelow(directory, dev)) {
    if (!has(needles, readQuietly(file))) continue;
    if (mode(file) !== 0o600) open.push(`file ${file} has the mode ${mode(file).toString(8)}`);
    const folders = file
      .slice(directory.length + 1)
      .split("/")
      .slice(0, -1);
    const isOpen = folders.every((_, index) => {
      const folder = join(directory, ...folders.slice(0, index + 1));
      return (mode(folder) & 0o077) !== 0;
    });
    if (folders.length > 0 && isOpen) open.push(`no directory above ${file} is closed`);
  }
  return open;
}

/** What is gone meanwhile has nothing. */
function readQuietly(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Everything that can be read from a daemon, for each of the names. */
function targetsOf(names: readonly string[]): readonly string[] {
  const own = Object.values<RouteContract>(contract)
    .filter(({ method, isStream }) => method === "GET" && isStream !== true)
    .map(({ path }) => `${OWN_PREFIX}${path}`);
  const now = Math.floor(Date.now() / 1_000) + 1;
  const docker = [
    ...["/volumes", "/volumes/{name}", "/info", "/version", "/system/df", "/plugins", "/metrics"],
    `/events?since=1&until=${now - 1}`,
  ];
  return [...own, ...docker].flatMap((target) => {
    if (!target.includes("{")) return [target];
    return names.map((name) => target.replaceAll(/\{\w+\}/g, encodeURIComponent(name)));
  });
}

async function answerOf(socketPath: string, target: string): Promise<string> {
  const answer = await fetch(`http://localhost${target}`, {
    unix: socketPath,
    signal: AbortSignal.timeout(answerMsMax),
  });
  return `${JSON.stringify([...answer.headers])}\n${await answer.text()}`;
}
