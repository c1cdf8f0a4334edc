// Finds the container engine behind a process that called, or behind a key that was remembered.
//
// A key of Docker is `docker:/run/docker.sock`: where it listens. An engine in a container has a
// socket of the same path which is another one: `docker:/run/docker.sock@8:4711` names the root
// directory too, and is asked through that only. Podman: see podman-words.ts.
import type { ContainerEngine, ContainerEngineFinder } from "../core/container-engine.ts";
import type { Host } from "../core/host.ts";
import type { Caller } from "../core/operation.ts";
import { dockerEngine } from "./docker-engine.ts";
import { podmanEngine } from "./podman-engine.ts";
import { keyOf, type PodmanWords, wordsOf, wordsOfKey } from "./podman-words.ts";
import {
  allProcesses,
  identityOf,
  listeningPaths,
  pathThrough,
  programOf,
  rootOf,
  startOf,
} from "./processes.ts";

/** How many processes are remembered. An engine is one; each podman is one for moments. */
const CALLERS_MAX = 64;

/** Sockets of dockerd that are not its API. */
const notTheApi = /\/(?:libnetwork|swarm)\/|\/metrics\.sock$/;

/** Where dockerd looks for sockets of plugins: fixed in it. */
const pluginFolder = "/run/docker/plugins";

const dockerKey = /^docker:(\/[^@]*)(?:@(\d+:\d+))?$/;

export interface FinderParts {
  readonly host: Pick<Host, "run">;
  /** The name by which engines know our driver: the plugin socket's, without `.sock`. */
  readonly driver: string;
  /** Where the plugin socket is; unless given no engine counts as running. */
  readonly socketFolder?: string | undefined;
}

/** See core/container-engine.ts. A caller that has been seen before costs one read of /proc. */
export function findContainerEngines(parts: FinderParts): ContainerEngineFinder {
  return new Finder(parts);
}

interface Known {
  readonly start: string;
  readonly engine: ContainerEngine | undefined;
}

class Finder implements ContainerEngineFinder {
  readonly #parts: FinderParts;
  readonly #callers = new Map<number, Known>();
  readonly #engines = new Map<string, ContainerEngine>();
  /** The first engine of each of Podman's root directories: later calls may word it otherwise. */
  readonly #podmans = new Map<string, ContainerEngine>();

  constructor(parts: FinderParts) {
    this.#parts = parts;
  }

  ofCaller(caller: Caller): ContainerEngine | undefined {
    if (caller.kind !== "process" || caller.pid === 0) return undefined;
    const start = startOf(caller.pid);
    if (start === undefined) return undefined;
    const known = this.#callers.get(caller.pid);
    if (known?.start === start) return known.engine;
    const program = programOf(caller.pid);
    const engine = this.#look(program, caller);
    // A dockerd that does not listen yet is looked at again.
    if (engine !== undefined || program !== "dockerd") {
      this.#remember(caller.pid, { start, engine });
    }
    return engine;
  }

  ofKey(key: string): ContainerEngine | undefined {
    const known = this.#engines.get(key);
    if (known !== undefined) return known;
    const [, path, root] = dockerKey.exec(key) ?? [];
    if (path !== undefined) return this.#docker(key, path, root);
    const words = wordsOfKey(key);
    return words === undefined ? undefined : this.#podman(words);
  }

  running(): readonly ContainerEngine[] {
    const { socketFolder } = this.#parts;
    const ours = socketFolder === undefined ? undefined : identityOf(socketFolder);
    if (ours === undefined) return [];
    return allProcesses().flatMap((pid) => {
      if (programOf(pid) !== "dockerd") return [];
      if (identityOf(pathThrough(pid, pluginFolder)) !== ours) return [];
      const key = keyOfDocker(pid);
      const engine = key === undefined ? undefined : this.ofKey(key);
      return engine === undefined ? [] : [engine];
    });
  }

  #look(program: string | undefined, caller: Caller & { kind: "process" }) {
    if (program === "dockerd") {
      const key = keyOfDocker(caller.pid);
      return key === undefined ? undefined : this.ofKey(key);
    }
    // Its words are run as root later, so they must be those of root, on the same file system: a
    // user's podman, or one in a container, could name programs of its own.
    if (program !== "podman" || caller.uid !== 0) return undefined;
    if (rootOf(caller.pid) !== identityOf("/")) return undefined;
    const words = wordsOf(caller.pid);
    if (words === undefined) return undefined;
    return this.#podmans.get(words.root) ?? this.ofKey(keyOf(words));
  }

  #docker(key: string, path: string, root: string | undefined): ContainerEngine {
    const { driver } = this.#parts;
    const socketPaths = () => placesOf(path, root);
    const engine = dockerEngine({ key, driver, socketPaths });
    this.#engines.set(key, engine);
    return engine;
  }

  #podman(words: PodmanWords): ContainerEngine {
    const engine = podmanEngine({ ...this.#parts, words });
    this.#engines.set(engine.key, engine);
    if (!this.#podmans.has(words.root)) this.#podmans.set(words.root, engine);
    return engine;
  }

  #remember(pid: number, known: Known): void {
    this.#callers.delete(pid);
    this.#callers.set(pid, known);
    if (this.#callers.size <= CALLERS_MAX) return;
    const [oldest] = this.#callers.keys();
    if (oldest !== undefined) this.#callers.delete(oldest);
  }
}

/** Undefined when it listens on no Unix socket (yet). */
function keyOfDocker(pid: number): string | undefined {
  const [path] = apiPaths(pid);
  if (path === undefined) return undefined;
  const here = identityOf(path);
  const there = identityOf(pathThrough(pid, path));
  const isAnother = here !== undefined && there !== undefined && here !== there;
  return isAnother ? `docker:${path}@${rootOf(pid)}` : `docker:${path}`;
}

/** Where a dockerd's API may be, best first. */
function apiPaths(pid: number): readonly string[] {
  const rank = (path: string) => (path.endsWith("/docker.sock") ? 0 : 1);
  return listeningPaths(pid)
    .filter((path) => path.startsWith("/") && !notTheApi.test(path))
    .map(inRun)
    .sort((one, other) => rank(one) - rank(other) || one.length - other.length);
}

/** /var/run is /run by another name, and dockerd uses both. */
function inRun(path: string): string {
  return path.replace(/^\/var\/run\//, "/run/");
}

/** The path itself, then as those dockerds see it that listen on it. */
function* placesOf(path: string, root: string | undefined): Iterable<string> {
  if (root === undefined) yield path;
  for (const pid of dockerdsAt(path)) {
    if (root !== undefined && rootOf(pid) !== root) continue;
    yield pathThrough(pid, path);
  }
}

/** The dockerds that listen on a path (below /run, not /var/run), by their process ids. */
export function* dockerdsAt(path: string): Iterable<number> {
  for (const pid of allProcesses()) {
    if (programOf(pid) === "dockerd" && apiPaths(pid).includes(path)) yield pid;
  }
}
