// Stands in for the plugin of the recordings: the recorded configs around a program of ours.
//
// The folders are those that the recorded commands name below /srv/plug. Needs "plugin-compiler".
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import { type Exchange, loadExchanges } from "./recordings.ts";

/** Where the recorded commands had the folders, and the plugin's mount its source. */
export const recordedPluginFolder = "/srv/plug";

/** A folder, by the name in the recorded commands. */
export const pluginFolders = ["vp", "vp2", "vpmin", "norootfs", "vpbad", "vpnosock"] as const;

export type PluginFolder = (typeof pluginFolders)[number];

/** Which folder was sent under which name. */
const folderOfName: Readonly<Record<string, PluginFolder>> = {
  "127.0.0.1:5000/vp:v1": "vp",
  "127.0.0.1:5000/vp:v2": "vp2",
  "127.0.0.1:5000/vp:min": "vpmin",
  "bad:norootfs": "norootfs",
  "bad:entry": "vpbad",
  "bad:nosock": "vpnosock",
};

/** What was recorded about the plugin of a folder: the exchange that shows its config. */
const shownBy: Readonly<Record<PluginFolder, readonly ["06" | "07", number, string]>> = {
  vp: ["06", 10, "127.0.0.1:5000/vp:v1"],
  norootfs: ["06", 10, "127.0.0.1:5000/vp:v1"],
  vp2: ["07", 51, "myvp:latest"],
  vpmin: ["07", 81, "127.0.0.1:5000/vp:min"],
  vpbad: ["07", 111, "bad:entry"],
  vpnosock: ["07", 111, "bad:nosock"],
};

const commandTimeoutMs = 60_000;

export interface StandInPlugins {
  /** What stands where the recordings have `/srv/plug`. */
  readonly folder: string;
  /** What the CLI sends of a folder, by the name that the plugin is to have. */
  uploadOf(name: string): Uint8Array | undefined;
}

/** Fills `folder`, which must not exist, with the folders and `state`, the source of a mount. */
export async function makeStandIns(folder: string): Promise<StandInPlugins> {
  mkdirSync(join(folder, "state"), { recursive: true });
  const program = join(folder, "volplug");
  const source = join(import.meta.dir, "recorded-plugin.c");
  await command("gcc", ["-Os", "-s", "-static", "-o", program, source]);
  // What the CLI refuses by itself.
  mkdirSync(join(folder, "noconfig"));
  mkdirSync(join(folder, "badjson"));
  writeFileSync(join(folder, "badjson/config.json"), "{nope");
  const uploads = new Map<PluginFolder, Uint8Array>();
  for (const name of pluginFolders) {
    const place = join(folder, name);
    if (name === "norootfs") mkdirSync(place);
    else makeRootfs(join(place, "rootfs"), program);
    // These had layers of their own: dockerd refuses to store one twice.
    const hasOwnLayer = name === "vp" || name === "vpnosock";
    if (hasOwnLayer) writeFileSync(join(place, "rootfs/etc/name"), `${name}\n`);
    writeFileSync(join(place, "config.json"), JSON.stringify(configOf(name, folder), null, 2));
    const archive = join(folder, `${name}.tar`);
    const parts = name === "norootfs" ? ["config.json"] : ["config.json", "rootfs"];
    await command("tar", ["-C", place, "--owner=0", "--group=0", "-cf", archive, ...parts]);
    uploads.set(name, await readFile(archive));
  }
  return {
    folder,
    uploadOf(name) {
      const from = folderOfName[name];
      return from === undefined ? undefined : uploads.get(from);
    },
  };
}

/** The directories that its mounts and its volumes need. */
function makeRootfs(rootfs: string, program: string): void {
  for (const name of ["bin", "etc", "run/docker/plugins", "mnt/volumes", "mnt/state"]) {
    mkdirSync(join(rootfs, name), { recursive: true });
  }
  copyFileSync(program, join(rootfs, "bin/volplug"));
}

/** The author's config.json: the recorded one without what a create adds to it. */
function configOf(name: PluginFolder, folder: string): unknown {
  const [recording, index, plugin] = shownBy[name];
  const config = shownConfig(loadExchanges(recording)[index], plugin);
  const text = JSON.stringify({ ...config, rootfs: undefined })
    .replaceAll(recordedPluginFolder, folder)
    // An upgrade shows them sorted, the privileges of the image as its author wrote them.
    .replace('["CAP_NET_ADMIN","CAP_SYS_ADMIN"]', '["CAP_SYS_ADMIN","CAP_NET_ADMIN"]');
  return JSON.parse(text);
}

function shownConfig(exchange: Exchange | undefined, plugin: string): object {
  const shown: unknown = JSON.parse(exchange?.answer.body ?? "null");
  const list: readonly unknown[] = Array.isArray(shown) ? shown : [shown];
  for (const one of list) {
    if (typeof one !== "object" || one === null || !("Name" in one) || !("Config" in one)) continue;
    if (one.Name === plugin && typeof one.Config === "object" && one.Config !== null) {
      return one.Config;
    }
  }
  throw new Error(`the recording shows no plugin ${plugin}`);
}

async function command(program: string, parameters: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, parameters, { timeoutMs: commandTimeoutMs });
  if (exit !== 0) throw new Error(`${program}: ${stderr}`);
}
