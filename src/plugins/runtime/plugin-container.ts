// One plugin's container: made, ended, and cleaned up after, whatever a crash has left of it.
import fs from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { endControlGroup } from "./control-group.ts";
import { findDevices } from "./devices.ts";
import {
  isAlive,
  isMonitored,
  type Life,
  readLife,
  readPropagated,
  writeLife,
  writePropagated,
} from "./life.ts";
import { type OciRuntime, startFailed } from "./oci-runtime.ts";
import { ociSpec } from "./oci-spec.ts";
import type { PluginLog } from "./plugin-log.ts";
import { detachBelow, isServed, shareMounts, stopSharing } from "./propagated-mounts.ts";
import { exitDirectory, mountsDirectory, type RunPlaces, runtimeDirectory } from "./run-places.ts";
import type { RunRequest } from "./run-request.ts";
import { endSocketDirectory } from "./socket-directory.ts";
import { endStrays } from "./stray-programs.ts";

/** From SIGTERM to SIGKILL; Docker's, too. */
const TERM_MS_MAX = 10_000;
/** From SIGKILL to the end: longer takes only what the kernel holds. */
const KILL_MS_MAX = 5_000;
const LOOK_AGAIN_MS = 10;
/** From the plugin's end to that of conmon. */
const MONITOR_MS_MAX = 1_000;

/** Longer paths of sockets do not fit into sockaddr_un, with its NUL. */
const SOCKET_PATH_BYTES_MAX = 107;

export interface PluginContainerParts {
  readonly id: string;
  readonly places: RunPlaces;
  readonly runDirectory: string;
  readonly host: Host;
  readonly runtime: OciRuntime;
  readonly log: PluginLog;
}

export class PluginContainer {
  readonly #parts: PluginContainerParts;
  /** Of the directory of sockets, where the path would be too long. */
  #descriptor: number | undefined;

  constructor(parts: PluginContainerParts) {
    this.#parts = parts;
  }

  /**
   * Starts the plugin's process. Whatever is there of a life before is ended first. Throws
   * `plugin.start_failed`, `plugin.config_invalid`, `host.program_missing`, `storage.*`; then
   * nothing runs.
   */
  async launch(request: RunRequest, operation: Operation): Promise<Life> {
    const { id, places, host, runtime, log } = this.#parts;
    await this.clean(operation);
    try {
      await this.#prepare(request);
      // Before they are made: who cleans up finds what to end.
      writePropagated(places, request.propagated);
      if (request.propagated !== null) await shareMounts(host, request.propagated, operation);
      log.prepare();
      const { pid, monitorPid } = await runtime.create(id, places, operation);
      // Before it begins: it may end at once.
      const start = host.processStart(pid);
      const monitorStart = host.processStart(monitorPid);
      if (start === undefined || monitorStart === undefined) {
        throw startFailed("conmon or the plugin's process was killed while it started");
      }
      await runtime.start(id, places, operation);
      const startedAtMs = host.nowMs();
      const { rootfs } = request;
      const life = { pid, start, monitorPid, monitorStart, startedAtMs, rootfs };
      writeLife(places, life);
      return life;
    } catch (error) {
      await this.clean(operation);
      throw error;
    }
  }

  /** A life that a daemon before us began, and that goes on; undefined: none does. */
  remaining(request: RunRequest): Life | undefined {
    const { host, places } = this.#parts;
    const life = readLife(places);
    if (life === undefined || life.rootfs !== request.rootfs) return undefined;
    return isAlive(host, life) && isMonitored(host, life) ? life : undefined;
  }

  /** Where the plugin listens, short enough to be connected to. */
  socketPath({ config }: RunRequest): string {
    const { socketDirectory } = this.#parts.places;
    const path = join(socketDirectory, config.interface.socket);
    if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
    this.#descriptor ??= fs.openSync(socketDirectory, "r");
    return `/proc/self/fd/${this.#descriptor}/${config.interface.socket}`;
  }

  /** SIGTERM, 10 s, SIGKILL. Throws `plugin.failed` when the kernel does not let it end. */
  async end(life: Life, operation: Operation): Promise<void> {
    const { id, runtime } = this.#parts;
    await runtime.kill(id, "TERM", operation);
    if (await this.#hasEnded(life, TERM_MS_MAX)) return;
    await runtime.kill(id, "KILL", operation);
    if (await this.#hasEnded(life, KILL_MS_MAX)) return;
    throw new EngineError(
      "plugin.failed",
      `process ${life.pid} does not end after SIGKILL: the kernel waits for something, perhaps ` +
        "for storage that does not answer",
      { details: { pid: life.pid } },
    );
  }

  /**
   * Ends and removes what is there of the container, however far it got. What it mounted in its
   * propagated mount stays, except what its own processes served, or is detached: whoever has a
   * mount of it keeps that. Throws `plugin.failed` when something of it cannot be ended.
   */
  async clean(operation: Operation, mounts: "keep" | "detach" = "keep"): Promise<void> {
    const { id, places, host, runtime } = this.#parts;
    const state = join(runtimeDirectory(this.#parts), id);
    const life = readLife(places);
    // What was begun and came to no end goes on, if nobody stops it.
    if (life === undefined && isThere(places.bundle)) await this.#endStrays();
    if (isThere(state)) await runtime.remove(id, operation);
    // A runtime that was killed knows nothing of what it had begun; the kernel does.
    if (!(await endControlGroup(host, places.cgroupPath))) {
      throw new EngineError("plugin.failed", `processes in ${places.cgroupPath} do not end`);
    }
    if (this.#descriptor !== undefined) fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
    if (mounts === "detach") await this.#endMounts(operation);
    else await this.#endServed(operation);
    await endSocketDirectory(host, places.socketDirectory, operation);
    if (life !== undefined) await this.#endMonitor(life);
    // The bundle last: who finds it cleans up.
    for (const path of [state, places.exitFile, places.bundle]) {
      fs.rmSync(path, { recursive: true, force: true });
    }
  }

  /** conmon ends with what it looks after, when it has written the exit status down. */
  async #endMonitor(life: Life): Promise<void> {
    const { host } = this.#parts;
    const untilMs = host.monotonicMs() + MONITOR_MS_MAX;
    while (isMonitored(host, life)) {
      if (host.monotonicMs() > untilMs) return await this.#endStrays();
      await pause(LOOK_AGAIN_MS);
    }
  }

  async #endStrays(): Promise<void> {
    const { host, places, runDirectory } = this.#parts;
    await endStrays(host, { runDirectory, bundle: places.bundle });
  }

  /** Whoever served them has ended: a plugin that finds them dead at its next start gives up. */
  async #endServed(operation: Operation): Promise<void> {
    const { host, places } = this.#parts;
    const propagated = readPropagated(places);
    if (propagated !== null) await detachBelow(host, propagated, operation, isServed);
  }

  async #endMounts(operation: Operation): Promise<void> {
    const { host, places } = this.#parts;
    const propagated = readPropagated(places);
    if (propagated !== null) {
      // All at once: single ones may lie behind what does not answer.
      const isEnded = await stopSharing(host, propagated, operation);
      const isBare = await detachBelow(host, propagated, operation);
      // Whoever cleans up next finds what to end.
      if (!isEnded || !isBare) return;
    }
    fs.rmSync(places.propagatedFile, { force: true });
  }

  async #prepare(request: RunRequest): Promise<void> {
    const { places } = this.#parts;
    const { socket } = request.config.interface;
    if (socket === "" || socket === "." || socket === ".." || /[/\0]/.test(socket)) {
      throw new EngineError(
        "plugin.config_invalid",
        `interface.socket: ${JSON.stringify(socket)} is no file name`,
      );
    }
    const shared = [exitDirectory(this.#parts), mountsDirectory(this.#parts)];
    for (const path of [...shared, places.bundle, places.socketDirectory]) {
      fs.mkdirSync(path, { recursive: true, mode: 0o700 });
    }
    const spec = ociSpec(request, {
      architecture: process.arch,
      devices: await findDevices(request.settings.devices),
      socketDirectory: places.socketDirectory,
      cgroupPath: places.cgroupPath,
    });
    fs.symlinkSync(places.logDirectory, places.logLink);
    fs.writeFileSync(places.specFile, JSON.stringify(spec), { mode: 0o600 });
  }

  async #hasEnded(life: Life, patienceMs: number): Promise<boolean> {
    const { host } = this.#parts;
    const untilMs = host.monotonicMs() + patienceMs;
    while (isAlive(host, life)) {
      if (host.monotonicMs() > untilMs) return false;
      await pause(LOOK_AGAIN_MS);
    }
    return true;
  }
}

function isThere(folder: string): boolean {
  try {
    fs.readdirSync(folder);
    return true;
  } catch {
    return false;
  }
}
