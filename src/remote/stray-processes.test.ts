// The daemon dies between the start of a tool and the note of it: the next one takes over what
// serves a mount, and ends what does not.
import { describe, expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/support/child.ts";
import { temporaryFolder } from "../../test/support/driver-benches.ts";
import { whenPossible } from "../../test/support/needs.ts";
import { first, operation, wiki } from "../../test/support/remote-bench.ts";
import { collect } from "../conformance/expectations.ts";
import type { VolumeDriver } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { Host, KeptProcess } from "../core/host.ts";
import { linuxHost } from "../host/linux.ts";
import { remoteDriver } from "./driver.ts";
import { FuseLogs } from "./fuse-logs.ts";
import { startFuse, stopFuse } from "./fuse-process.ts";
import type { RemoteKind } from "./kind.ts";

/** Its tool is a shell that binds a folder, or goes on without doing so. */
class StrayBench implements AsyncDisposable {
  readonly root = temporaryFolder("strays");
  readonly share = join(this.root, "share");
  readonly data = join(this.root, "data/remote/shell", wiki, "data");
  readonly note = join(this.root, "run/remote/shell", wiki, "process.json");
  readonly host: Host = { ...linuxHost() };
  readonly started: KeptProcess[] = [];
  mounts = true;

  constructor() {
    mkdirSync(this.share);
    const { startKept } = this.host;
    this.host.startKept = (request) => {
      const kept = startKept(request);
      this.started.push(kept);
      return kept;
    };
  }

  /** The driver, as after a start of the daemon. */
  open(): VolumeDriver {
    const secrets = { read: () => Promise.reject(new EngineError("secret.not_found", "none")) };
    const places = { root: join(this.root, "data"), runDirectory: join(this.root, "run") };
    return remoteDriver(this.#kind(), { ...places, host: this.host, secrets });
  }

  /** From now on the daemon is dead as soon as it has started something. */
  dieAtStart(): () => void {
    const { startKept } = this.host;
    this.host.startKept = (request) => {
      startKept(request);
      throw new Error("it is dead");
    };
    return () => {
      this.host.startKept = startKept;
    };
  }

  isMounted(): boolean {
    return this.host.mounts().some(({ target }) => target === this.data);
  }

  isAlive({ pid, start }: KeptProcess): boolean {
    return this.host.processStart(pid) === start;
  }

  last(): KeptProcess {
    const kept = this.started.at(-1);
    if (kept === undefined) throw new Error("nothing was started");
    return kept;
  }

  /** The kernel shows the arguments of a process a moment after its start. */
  async untilSeen(): Promise<KeptProcess> {
    await eventually(() => this.host.findKept(this.root).find(({ program }) => program === "sh"), {
      timeoutMs: 5_000,
      otherwise: () => "it is not there",
    });
    return this.last();
  }

  #kind(): RemoteKind<object> {
    const { host, share } = this;
    const fuse = { host, logs: new FuseLogs() };
    return {
      ...{ name: "shell", program: "sh", rules: [] },
      parse: () => ({}),
      address: () => undefined,
      server: () => "here",
      mount: async ({ target, runDirectory }, inner) => {
        const script = this.mounts ? 'mount --bind "$1" "$2"; sleep 600; :' : "sleep 600; :";
        const args = ["-c", script, "sh", share, target];
        const explain = (words: string) => new EngineError("remote.denied", words);
        const start = { program: "sh", args, target, runDirectory, secrets: [], explain };
        await startFuse(fuse, start, inner);
      },
      // A shell does not end with its mount, as those tools do.
      unmount: ({ target, runDirectory }, _how, inner) =>
        stopFuse(fuse, { target, runDirectory }, { isLost: true }, inner),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const kept of this.started) this.host.signalKept(kept, "SIGKILL");
    for (const { target } of this.host.mounts()) {
      if (target.startsWith(`${this.root}/`)) await this.host.detach(target, operation);
    }
    if (existsSync(this.data)) this.host.seal(this.data, false);
    rmSync(this.root, { recursive: true, force: true });
  }
}

describe("a process that was started and not noted", () => {
  whenPossible(["root", "mount"], "is taken over where it serves a mount", async () => {
    await using bench = new StrayBench();
    const dead = bench.open();
    await dead.create({ name: wiki, options: { test: "off" } }, operation);
    const revive = bench.dieAtStart();
    await expect(dead.mount(wiki, first, operation)).rejects.toThrow("it is dead");
    revive();
    await eventually(() => bench.isMounted() || undefined, {
      timeoutMs: 5_000,
      otherwise: () => "it has not mounted",
    });
    const next = bench.open();
    await collect(next.list(operation));
    const { pid, start } = bench.last();
    expect(JSON.parse(readFileSync(bench.note, "utf8"))).toEqual({ pid, start });
    expect(await next.mount(wiki, first, operation)).toBe(bench.data);
    expect(bench.started).toHaveLength(1);
    await next.unmount(wiki, first, operation);
    expect(bench.isAlive(bench.last())).toBe(false);
    expect(bench.isMounted()).toBe(false);
  });

  whenPossible(["root", "mount"], "is ended where it has mounted nothing", async () => {
    await using bench = new StrayBench();
    bench.mounts = false;
    const dead = bench.open();
    await dead.create({ name: wiki, options: { test: "off" } }, operation);
    const revive = bench.dieAtStart();
    await expect(dead.mount(wiki, first, operation)).rejects.toThrow("it is dead");
    revive();
    const stray = await bench.untilSeen();
    await collect(bench.open().list(operation));
    expect(bench.isAlive(stray)).toBe(false);
    // What this life starts, and has noted, is its own.
    bench.mounts = true;
    const next = bench.open();
    await next.mount(wiki, first, operation);
    await collect(next.list(operation));
    await collect(bench.open().list(operation));
    expect(bench.isAlive(bench.last())).toBe(true);
    expect(bench.isMounted()).toBe(true);
    await next.unmount(wiki, first, operation);
  });

  whenPossible(["root", "mount"], "for the test of a volume goes with what that left", async () => {
    await using bench = new StrayBench();
    bench.mounts = false;
    const dead = bench.open();
    const revive = bench.dieAtStart();
    const removePlaces = bench.host.seal;
    bench.host.seal = (directory, isSealed) => {
      if (!isSealed) throw new Error("it is dead");
      removePlaces(directory, isSealed);
    };
    const creating = dead.create({ name: wiki, options: {} }, operation);
    await expect(creating).rejects.toThrow("it is dead");
    bench.host.seal = removePlaces;
    revive();
    await bench.untilSeen();
    expect(await collect(bench.open().list(operation))).toEqual([]);
    expect(bench.isAlive(bench.last())).toBe(false);
  });
});
