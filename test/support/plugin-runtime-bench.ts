// A PluginRuntime with directories of its own on tmpfs, and what it started ended at the end.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../src/core/host.ts";
import { silentLog } from "../../src/core/operation.ts";
import type { PluginSettings } from "../../src/core/plugin.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { runPlaces } from "../../src/plugins/runtime/run-places.ts";
import type { RunRequest } from "../../src/plugins/runtime/run-request.ts";
import { PluginRuntime } from "../../src/plugins/runtime/runtime.ts";
import { eventually } from "./child.ts";
import { testOperation } from "./operation.ts";
import {
  type ConfigChanges,
  makePluginRootfs,
  type TestPluginKind,
  testPluginSettings,
} from "./plugin-rootfs.ts";

export interface PluginWish {
  readonly kind?: TestPluginKind;
  readonly config?: ConfigChanges;
  readonly environment?: Readonly<Record<string, string>>;
  /** A digit: other plugins have other ones. */
  readonly digit?: string;
}

export interface PluginRuntimeBench extends AsyncDisposable {
  readonly folder: string;
  readonly runDirectory: string;
  readonly logDirectory: string;
  readonly host: Host;
  readonly runtime: PluginRuntime;
  /** What is to be run. */
  plugin(wish?: PluginWish): Promise<RunRequest>;
  /** As a daemon that was killed leaves it: another one on the same directories. */
  another(host?: Host): PluginRuntime;
  /** One that hangs: it is not waited for at the end. */
  leave(runtime: PluginRuntime): void;
  /** Resolves when `isSo` holds. */
  until(isSo: () => boolean, what: string): Promise<void>;
}

export function makePluginRuntimeBench(): PluginRuntimeBench {
  const folder = mkdtempSync("/dev/shm/hfp-");
  const runDirectory = join(folder, "r", "own");
  const host = linuxHost();
  const made: PluginRuntime[] = [];
  const logDirectory = join(folder, "logs: all");
  const another = (its: Host = host) => {
    const parts = {
      runDirectory,
      logDirectory,
      host: its,
      log: silentLog,
      operation: testOperation,
    };
    const runtime = new PluginRuntime(parts);
    made.push(runtime);
    return runtime;
  };
  const runtime = another();
  return {
    folder,
    runDirectory,
    logDirectory,
    host,
    runtime,
    another,
    async plugin({ kind = "propagated", config, environment, digit = "a" } = {}) {
      const id = digit.repeat(64);
      const home = join(folder, digit);
      mkdirSync(home, { recursive: true });
      const plugin = await makePluginRootfs(home, kind, config);
      const settings: PluginSettings = testPluginSettings(plugin.config, environment);
      const propagated = kind === "propagated" ? join(home, "propagated-mount") : null;
      const { rootfs } = plugin;
      return { id, name: `t/${digit}:latest`, rootfs, propagated, config: plugin.config, settings };
    },
    leave(runtime) {
      made.splice(made.indexOf(runtime), 1);
    },
    async until(isSo, what) {
      await eventually(() => (isSo() ? true : undefined), {
        timeoutMs: 20_000,
        otherwise: () => `never: ${what}`,
      });
    },
    async [Symbol.asyncDispose]() {
      for (const one of made) await one.stopAll(new Set(), testOperation());
      // Ends what nobody knows of any more.
      const last = another();
      await last.adopt([], testOperation());
      await last.stopAll(new Set(), testOperation());
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What there is of a plugin besides its files and its log. */
export function tracesOf(
  { host, runDirectory, folder }: PluginRuntimeBench,
  id: string,
): readonly string[] {
  const mounts = host
    .mounts()
    .filter(({ target }) => target.startsWith(`${folder}/${id.slice(0, 1)}/`));
  const { cgroupPath } = runPlaces({ runDirectory, logDirectory: "" }, id);
  const groups = host
    .mounts()
    .filter(({ fileSystem }) => fileSystem.startsWith("cgroup"))
    .map(({ target }) => join(target, cgroupPath));
  const places = ["bundles", "runtime", "exits", "mounts"].map((name) => join(runDirectory, name));
  const files = [...places.map((place) => join(place, id)), join(runDirectory, id.slice(0, 16))];
  return [...mounts.map(({ target }) => target), ...[...groups, ...files].filter(existsSync)];
}
