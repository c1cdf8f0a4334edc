// A managed plugin for tests: its root file system and its config.json, made from C in 0.3 s.
//
// `volume-plugin.c` beside this file says what it does: volumes are directories, and it crashes,
// hangs, mounts and lies as options of a volume (`crash=Mount`, `type=tmpfs`, `path=symlink`, …) or
// its environment say. Tests that use it need "plugin-compiler" (test/support/needs.ts).
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PluginConfig, PluginEnv, PluginSettings } from "../../src/core/plugin.ts";
import { runToEnd } from "./child.ts";

/**
 * "propagated": volumes lie in its propagated mount `/mnt/volumes`, and it has CAP_SYS_ADMIN, so
 * that `type=tmpfs` works. "rootfs": they lie in `/volumes` of its root file system, and it asks
 * for nothing.
 */
export type TestPluginKind = "propagated" | "rootfs";

/** What the folder of a test's plugin holds; `plugin create` takes it as it is. */
export interface TestPlugin {
  readonly rootfs: string;
  readonly configPath: string;
  readonly config: PluginConfig;
  /** As they are at first. */
  readonly settings: PluginSettings;
}

/** What a test may change in the config. */
export type ConfigChanges = Partial<PluginConfig>;

const compileTimeoutMs = 60_000;

/** Of the environment of `volume-plugin.c`: settable, and unset at first. */
const variables = [
  "EXIT_AT_START",
  "EXIT_AFTER_MS",
  "LISTEN",
  "LISTEN_AFTER_MS",
  "IGNORE_TERM",
  "LOG_LINES",
  "CHILD",
  "FORK_AT_TERM",
];

/** Where the plugin of a kind keeps volumes, as it sees it. */
export const volumesInside: Readonly<Record<TestPluginKind, string>> = {
  propagated: "/mnt/volumes",
  rootfs: "/volumes",
};

/** Fills `folder` (made if need be) with `rootfs/` and `config.json`. */
export async function makePluginRootfs(
  folder: string,
  kind: TestPluginKind = "propagated",
  changes: ConfigChanges = {},
): Promise<TestPlugin> {
  const rootfs = join(folder, "rootfs");
  const configPath = join(folder, "config.json");
  for (const name of ["bin", "etc", "tmp", volumesInside[kind]]) {
    mkdirSync(join(rootfs, name), { recursive: true });
  }
  copyFileSync(await compiledPlugin(), join(rootfs, "bin/plugin"));
  const config = testPluginConfig(kind, changes);
  writeFileSync(configPath, JSON.stringify({ ...config, rootfs: undefined }, null, 2));
  return { rootfs, configPath, config, settings: testPluginSettings(config) };
}

/** The config alone: for what runs nothing. */
export function testPluginConfig(
  kind: TestPluginKind = "propagated",
  changes: ConfigChanges = {},
): PluginConfig {
  const data = volumesInside[kind];
  const isPropagated = kind === "propagated";
  return {
    description: "A plugin of the tests",
    documentation: "",
    dockerVersion: "",
    entrypoint: ["/bin/plugin"],
    workDir: "",
    interface: { types: ["docker.volumedriver/1.0"], socket: "plugin.sock", protocolScheme: "" },
    network: { type: "" },
    propagatedMount: isPropagated ? data : "",
    ipcHost: false,
    pidHost: false,
    user: null,
    mounts: null,
    env: [variable("DATA", data), ...variables.map((name) => variable(name, ""))],
    args: { name: "", description: "", settable: null, value: null },
    linux: {
      capabilities: isPropagated ? ["CAP_SYS_ADMIN"] : null,
      allowAllDevices: false,
      devices: null,
    },
    rootfs: null,
    ...changes,
  };
}

/** What the config says, with some variables set otherwise, as `plugin set` does. */
export function testPluginSettings(
  config: PluginConfig,
  environment: Readonly<Record<string, string>> = {},
): PluginSettings {
  const env = (config.env ?? []).filter(({ value }) => value !== null);
  return {
    mounts: config.mounts ?? [],
    env: env.map(({ name, value }) => `${name}=${environment[name] ?? value}`),
    args: config.args.value ?? [],
    devices: config.linux.devices ?? [],
  };
}

/**
 * Calls a plugin at a socket. Beyond the protocol the tests' plugin knows `Test.Read` (`Name` is a
 * file as it sees it; answers `Text`), `Test.Exit` and `Test.Log`.
 */
export async function callPlugin(
  socketPath: string,
  call: string,
  body: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(`http://plugin/${call}`, {
    unix: socketPath,
    method: "POST",
    body: JSON.stringify(body),
  });
  // Answers of the tests' plugin are objects.
  return (await answer.json()) as Readonly<Record<string, unknown>>;
}

function variable(name: string, value: string): PluginEnv {
  return { name, description: "", settable: ["value"], value };
}

let compiled: Promise<string> | undefined;

/** The program, made once for each process of tests. */
export function compiledPlugin(): Promise<string> {
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-plugin-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "plugin");
  const source = join(import.meta.dir, "volume-plugin.c");
  const parameters = ["-Os", "-s", "-static", "-pthread", "-o", program, source];
  const { exit, stderr } = await runToEnd("gcc", parameters, { timeoutMs: compileTimeoutMs });
  if (exit !== 0) throw new Error(`gcc (Debian packages gcc and libc6-dev): ${stderr}`);
  return program;
}
