// A folder with sockets, volumes and mounts of plugins, for tests of what is done with plugins.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { VolumeDriver } from "../../src/core/driver.ts";
import type { Operation } from "../../src/core/operation.ts";
import { silentLog } from "../../src/core/operation.ts";
import type { ManagedEndpoints, PluginState } from "../../src/core/plugin.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { readMountTable } from "../../src/host/mount-table.ts";
import {
  makePluginHost,
  type PluginHostParts,
  type RunningPluginHost,
} from "../../src/plugins/plugin-host.ts";
import { eventually, runToEnd } from "./child.ts";
import { temporaryFolder } from "./driver-benches.ts";
import { type FaultPlugin, type FaultPluginOptions, startFaultPlugin } from "./fault-plugin.ts";
import { testOperation } from "./operation.ts";

export interface PluginStage extends AsyncDisposable {
  readonly folder: string;
  /** `<folder>/sockets`, where plugins are looked for. Made by `start`. */
  readonly sockets: string;
  readonly specs: string;
  readonly mounts: string;
  /** A plugin with its socket at NAME.sock. It ends with the stage. */
  start(name: string, options?: FaultPluginOptions): Promise<FaultPlugin>;
  /** A host of plugins over these folders, started. It ends with the stage. */
  open(parts?: Partial<PluginHostParts>): RunningPluginHost;
}

export function pluginStage(): PluginStage {
  const folder = temporaryFolder("plugins");
  const stack = new AsyncDisposableStack();
  const sockets = join(folder, "sockets");
  const mounts = join(folder, "mounts");
  const specs = join(folder, "specs");
  return {
    folder,
    sockets,
    specs,
    mounts,
    async start(name, options) {
      mkdirSync(sockets, { recursive: true });
      const socket = join(sockets, `${name}.sock`);
      return stack.use(await startFaultPlugin(socket, join(folder, "volumes", name), options));
    },
    open(parts = {}) {
      const host = makePluginHost({
        directories: { sockets, specs: [specs] },
        ownSockets: [],
        managed: undefined,
        mountsDirectory: mounts,
        host: linuxHost(),
        wrap: (driver) => driver,
        operation: testOperation,
        log: silentLog,
        ...parts,
      });
      host.start();
      stack.defer(() => host.stop());
      return host;
    },
    async [Symbol.asyncDispose]() {
      await stack.disposeAsync();
      await unmountBelow(folder);
      if (existsSync(folder)) rmSync(folder, { recursive: true });
    },
  };
}

/** Ends all mounts below a folder, the last ones first. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const { target } of readMountTable().toReversed()) {
    if (!target.startsWith(`${folder}/`)) continue;
    await runToEnd("umount", ["-l", target], { timeoutMs: 10_000 });
  }
}

/** What is mounted below a directory now, as paths. */
export function mountsBelow(folder: string): readonly string[] {
  const targets = readMountTable().map(({ target }) => target);
  return targets.filter((target) => target.startsWith(`${folder}/`));
}

/** Resolves when the plugin is in this state. */
export async function untilState(
  host: RunningPluginHost,
  name: string,
  state: PluginState,
): Promise<void> {
  const isSo = () => (host.status(name)?.state === state ? true : undefined);
  const otherwise = () => `${name} is ${JSON.stringify(host.status(name))}, not ${state}`;
  await eventually(isSo, { timeoutMs: 10_000, otherwise });
}

/** The driver of a plugin that is ready. */
export async function readyDriver(host: RunningPluginHost, name: string): Promise<VolumeDriver> {
  await untilState(host, name, "ready");
  const driver = host.driver(name);
  if (driver === undefined) throw new Error(`${name} is ready and has no driver`);
  return driver;
}

/** Managed plugins as somebody says that they are. */
export interface StatedEndpoints extends ManagedEndpoints {
  say(endpoints: ReturnType<ManagedEndpoints["endpoints"]>): void;
}

export function statedEndpoints(): StatedEndpoints {
  let current: ReturnType<ManagedEndpoints["endpoints"]> = [];
  const listeners = new Set<() => void>();
  return {
    endpoints: () => current,
    followEndpoints(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    say(endpoints) {
      current = endpoints;
      for (const listener of listeners) listener();
    },
  };
}

/** An operation whose warnings go into a list. */
export function loggedOperation(warnings: string[]): Operation {
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
  return { ...testOperation(), log };
}
