// Containers of a real dockerd that lock their volumes through the socket that they are given.
import { findProgram } from "../../tools/find-program.ts";
import { type Ended, eventually } from "../support/child.ts";
import { HoldsBench, type HoldsBenchOptions } from "../support/holds-bench.ts";
import type { Requirement } from "../support/needs.ts";
import { loadProgramImage } from "../support/program-image.ts";

/** Busybox, curl, and what curl needs. */
export const curlImage = "holdfast-curl:1";

export const needsOfInside = [
  ...(["root", "dockerd", "docker-cli", "mount", "unshare", "busybox", "curl"] as const),
] satisfies readonly Requirement[];

/** Where containers have what they are given. */
export const insideDirectory = "/run/holdfast/locks";

/** How long what follows from something may take. */
const followMs = 30_000;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A lock as lists show it, in part. */
export interface ShownLock {
  readonly volume: string;
  readonly lock: string;
  readonly fence: string;
  readonly expires: string;
  readonly waiting: number;
  readonly holder: {
    readonly pid: number;
    readonly program: string;
    readonly label: string;
    readonly container: string | null;
    readonly name: string | null;
  };
}

/** A bench whose daemon serves containers, with the image. */
export async function startInside(options: HoldsBenchOptions = {}): Promise<HoldsBench> {
  const bench = new HoldsBench({ ...options, servesContainers: true });
  await bench.start();
  await loadCurlImage((...words) => bench.dockerd.docker(...words));
  return bench;
}

/** Loads it by `run`, which drives `docker` or `podman`. */
export async function loadCurlImage(
  run: (...parameters: readonly string[]) => Promise<Ended>,
): Promise<void> {
  const curl = findProgram("curl");
  if (curl === undefined) throw new Error("no curl (Debian package curl)");
  await loadProgramImage(run, { name: curlImage, programs: [curl], accountName: "web" });
}

/** What a container is given to find the socket. */
export function lockMount(bench: HoldsBench): readonly string[] {
  return ["--volume", `${bench.lockDirectory}:${insideDirectory}`];
}

/** Starts a container that sleeps, with the socket, and further words of `docker run`. */
export async function sleeper(
  bench: HoldsBench,
  name: string,
  ...words: readonly string[]
): Promise<string> {
  const place = ["--name", name, "--network", "none", "--stop-signal", "KILL"];
  const command = [curlImage, "sleep", "1000"];
  return await bench.docker("run", "-d", ...place, ...lockMount(bench), ...words, ...command);
}

/** What curl in a container is answered; status 0 where there was no answer. */
export async function ask(
  bench: HoldsBench,
  container: string,
  method: string,
  path: string,
  body?: object,
): Promise<Answer> {
  const json = body === undefined ? [] : ["--json", JSON.stringify(body)];
  const words = ["-s", "-m", "20", "-X", method, "-w", "\n%{http_code}", ...json];
  const socket = ["--unix-socket", `${insideDirectory}/locks.sock`];
  const url = `http://locks${path.startsWith("/") ? path : `/holdfast/v1/${path}`}`;
  const { stdout } = await bench.dockerd.docker(
    "exec",
    container,
    "curl",
    ...words,
    ...socket,
    url,
  );
  const end = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(end + 1)), text: stdout.slice(0, end) };
}

/** The same, of what must be answered so: the JSON of the answer. */
export async function expectAsked(
  bench: HoldsBench,
  status: number,
  ...asked: readonly [container: string, method: string, path: string, body?: object]
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await ask(bench, ...asked);
  if (answer.status === status) return answer.text === "" ? {} : JSON.parse(answer.text);
  const [container, method, path] = asked;
  throw new Error(`${method} ${path} in ${container}: ${answer.status} ${answer.text}`);
}

/** What the daemon's own socket shows of all locks. */
export async function allLocks(bench: HoldsBench): Promise<readonly ShownLock[]> {
  const { locks } = await ownCall<{ locks: readonly ShownLock[] }>(bench, "GET", "locks");
  return locks;
}

/** Takes a lock away, as an administrator. */
export async function steal(bench: HoldsBench, { volume, lock, fence }: ShownLock): Promise<void> {
  await ownCall(bench, "DELETE", `volumes/${volume}/locks/${lock}?fence=${fence}`);
}

/** Waits until the locks are as wanted. */
export async function untilLocks(
  bench: HoldsBench,
  what: string,
  isWanted: (locks: readonly ShownLock[]) => boolean,
): Promise<readonly ShownLock[]> {
  let seen: readonly ShownLock[] = [];
  return await eventually(
    async () => {
      seen = await allLocks(bench);
      return isWanted(seen) ? seen : undefined;
    },
    { timeoutMs: followMs, otherwise: () => `${what}: ${JSON.stringify(seen)}` },
  );
}

/** One call of the daemon's own socket. Throws where it is refused. */
async function ownCall<T>(bench: HoldsBench, method: string, path: string): Promise<T> {
  const url = `http://holdfast/holdfast/v1/${path}`;
  const answer = await fetch(url, { method, unix: bench.daemon.socketPath });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  // The contract of src/api/holdfast/lock-contract.ts.
  return (text === "" ? {} : JSON.parse(text)) as T;
}
