// A kind of remote storage in a folder of this machine: its "server" is bound to mount points, and
// can be made dead, slow, read-only or stale.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BenchParts } from "../../src/conformance/driver-bench.ts";
import { ownPlaces } from "../../src/conformance/own-places.ts";
import type { Unsaved, VolumeDriver } from "../../src/core/driver.ts";
import { EngineError } from "../../src/core/errors.ts";
import type { Host } from "../../src/core/host.ts";
import { isAtOrBelow } from "../../src/core/mount-of.ts";
import type { Operation } from "../../src/core/operation.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import type { StorageRoom } from "../../src/core/storage-answer.ts";
import { openBenchFiles } from "../../src/daemon/bench-files.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { storageStep } from "../../src/host/storage-step.ts";
import { remoteDriver } from "../../src/remote/driver.ts";
import type { RemoteKind } from "../../src/remote/kind.ts";
import { behindRemote } from "./behind-remote.ts";
import { randomHex, temporaryFolder } from "./driver-benches.ts";
import { testOperation } from "./operation.ts";

/** What the server is told to do, at any time. */
export interface Switches {
  /** Nothing answers: no new mount, no question. */
  isDead: boolean;
  /** It refuses writes. */
  isReadOnly: boolean;
  /** Mounts by path that never answer again. */
  readonly stale: Set<string>;
  /** What is not on it yet. */
  unsaved: Unsaved | undefined;
  /** What it says of its room; undefined: what is so. */
  room: StorageRoom | undefined;
  /** Whether new options take effect on what is mounted; "fails": nobody knows. */
  canRefresh: boolean | "fails";
  /** What the secret `known` says; the server refuses "wrong". */
  secret: string;
  /** Mounts by path whose login the server does not take any more. */
  readonly refused: Set<string>;
  /**
   * Whether a copy of a mount elsewhere is the volume's data. Off: other tests make namespaces that
   * have copies for a moment.
   */
  showsCopies: boolean;
  /** How far the clock that only goes forward is ahead of the machine's, in milliseconds. */
  aheadMs: number;
  /** Waited for before each mount. */
  before: () => Promise<void>;
}

export interface BindServer {
  readonly root: string;
  /** The folder that is the server. */
  readonly share: string;
  readonly switches: Switches;
  readonly host: Host;
  /** Every mount that was made, by its target. */
  readonly mounted: string[];
  /** What was logged in with, by each mount with a secret. */
  readonly logins: string[];
  /** How often the server was asked for a sign of life. */
  readonly greeted: { count: number };
  /** The driver over it, as after a start of the daemon. */
  open(): VolumeDriver;
  /** Ends all mounts, and removes everything. */
  release(): Promise<void>;
}

interface BindOptions {
  readonly path: string;
}

/** A server with an empty folder. Whoever asks releases it. */
export function bindServer(): BindServer {
  const root = temporaryFolder("remote");
  const share = join(root, "share");
  mkdirSync(share);
  const switches: Switches = {
    isDead: false,
    isReadOnly: false,
    stale: new Set<string>(),
    unsaved: undefined,
    room: undefined,
    canRefresh: false,
    secret: "hush",
    refused: new Set<string>(),
    showsCopies: true,
    aheadMs: 0,
    before: async () => undefined,
  };
  const host = switchedHost(switches);
  const base = {
    root,
    share,
    switches,
    host,
    mounted: [] as string[],
    logins: [] as string[],
    greeted: { count: 0 },
  };
  const parts = {
    root: join(root, "data"),
    runDirectory: join(root, "run"),
    host,
    secrets: { read: secretReader(switches) },
  };
  return {
    ...base,
    open: () => remoteDriver(bindKind(base), parts),
    async release() {
      const targets = host.mounts().map(({ target }) => target);
      for (const target of targets.filter((each) => each.startsWith(`${root}/`))) {
        await host.detach(target, testOperation());
      }
      unsealAll(host, join(root, "data"));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function secretReader(switches: Switches): (name: string) => Promise<SecretValue> {
  return async (name) => {
    if (name === "known") return new SecretValue(new TextEncoder().encode(switches.secret));
    throw new EngineError("secret.not_found", `there is no secret ${name}`);
  };
}

/** A sealed directory cannot be removed. */
function unsealAll(host: Host, folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (entry.endsWith("/data")) host.seal(join(folder, entry), false);
  }
}

/** The machine, with helpers in this process and storage that obeys the switches. */
function switchedHost(switches: Switches): Host {
  const host = linuxHost();
  return {
    ...host,
    monotonicMs: () => host.monotonicMs() + switches.aheadMs,
    async assist(request, operation) {
      operation.signal.throwIfAborted();
      if (switches.isDead) return await untilAborted(operation);
      if (switches.isReadOnly) throw new EngineError("storage.read_only", "it takes no writes");
      return await storageStep(request);
    },
    async askStorage(directory, operation, also) {
      if (switches.stale.has(directory)) {
        throw new EngineError("storage.failed", "Stale file handle", { details: { isGone: true } });
      }
      if (switches.refused.has(directory)) {
        throw new EngineError("storage.failed", "Permission denied", {
          details: { isGone: false },
        });
      }
      // As while an earlier question is stuck: then nobody waits.
      if (switches.isDead) throw new EngineError("driver.timed_out", "an earlier look is stuck");
      const answer = await host.askStorage(directory, operation, also);
      return { ...answer, space: switches.room ?? answer.space };
    },
  };
}

/** What storage does that is silent. */
async function untilAborted({ signal }: Operation): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  signal.throwIfAborted();
  return await promise;
}

function bindKind(server: Omit<BindServer, "open" | "release">): RemoteKind<BindOptions> {
  const { share, switches, host, mounted, logins, greeted } = server;
  const mustAnswer = () => {
    if (switches.isDead) throw new EngineError("remote.unreachable", "the server is dead");
  };
  return {
    name: "bound",
    rules: [
      { name: "path", value: "PATH", help: "A folder of the server" },
      { name: "note", value: "TEXT", help: "Nothing" },
    ],
    parse: ({ path = "" }) => ({ path }),
    address: () => undefined,
    server: () => "this machine",
    writeBack: { trialOptions: (options) => options, refusal: async () => undefined },
    writeProof: "probe",
    // Of a bind mount: its folder in the file system that /dev/shm is.
    shows: ({ root }, { path }, subpath) =>
      switches.showsCopies && isAtOrBelow(`/dev/shm${root}`, join(share, path, subpath)),
    async mount({ options, subpath, target, isReadOnly, secret }, operation) {
      await switches.before();
      operation.signal.throwIfAborted();
      mustAnswer();
      const login = (await secret?.())?.revealText();
      if (login === "wrong") throw new EngineError("remote.denied", "no");
      if (login !== undefined) logins.push(login);
      const device = join(share, options.path, subpath);
      if (!existsSync(device)) throw new EngineError("remote.not_found", `no ${subpath} there`);
      const words = isReadOnly || switches.isReadOnly ? "bind,ro" : "bind";
      await host.mount({ type: "", device, target, options: words }, operation);
      mounted.push(target);
    },
    async unmount({ target }, { isLost }, operation) {
      if (!isLost && switches.unsaved !== undefined) {
        throw new EngineError("remote.unsaved", "not everything is on the server yet");
      }
      switches.stale.delete(target);
      switches.refused.delete(target);
      if (isLost) await host.detach(target, operation);
      else await host.unmount(target, operation);
    },
    async look({ target }) {
      const stale = switches.stale.has(target) ? "its process is gone" : undefined;
      return { stale, unsaved: switches.unsaved };
    },
    async greet() {
      greeted.count += 1;
      mustAnswer();
    },
    async refresh() {
      if (switches.canRefresh === "fails") throw new Error("it cannot be asked");
      return switches.canRefresh;
    },
    isLoginRefused: (words) => words.includes("Permission denied"),
  };
}

/** A bench over it, for the conformance checks. */
export function boundParts(): BenchParts & { readonly server: BindServer } {
  const server = bindServer();
  server.switches.showsCopies = false;
  const { driver, placeOf } = ownPlaces(server.open(), "checks/");
  const folder = join(server.root, "data", "remote", "bound");
  return {
    server,
    driver,
    files: openBenchFiles(join(server.root, "bench")),
    optionSets: [{}, { note: "another" }],
    randomHex,
    ...behindRemote({ volumes: folder, served: server.share, placeOf }),
    async silence() {
      server.switches.isDead = true;
      return {
        async [Symbol.asyncDispose]() {
          server.switches.isDead = false;
          // What was known of the server is as old as it can be.
          server.switches.aheadMs += 60_000;
        },
      };
    },
    async kill(name) {
      server.switches.stale.add(join(folder, name, "data"));
    },
    release: server.release,
  };
}
