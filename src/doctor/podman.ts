// Podman: is it there, and does it know the driver?
import { readdirSync } from "node:fs";
import path from "node:path";
import { parse as parseToml } from "smol-toml";
import type { Finding } from "../core/doctor.ts";
import { firstLineOf, type Look, type Machine, reasonOf, textOf } from "./machine.ts";

const about = "podman";

/** containers.conf(5): later ones win. */
const configFiles = ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
const configFolder = "/etc/containers/containers.conf.d";

export const lookAtPodman: Look = async (machine, operation) => {
  const version = await firstLineOf(machine, ["podman", "--version"], operation);
  if (version === null) {
    const fix = "apt-get install podman, where it is wanted";
    return [{ severity: "note", about, found: "no podman is installed", fix }];
  }
  const installed: Finding = { severity: "ok", about, found: `installed: ${version}` };
  const { plugin } = machine.sockets;
  if (plugin === undefined) return [installed];
  return [installed, ...configFindings(machine, plugin)];
};

function configFindings(machine: Machine, plugin: string): readonly Finding[] {
  const findings: Finding[] = [];
  let known: { readonly file: string; readonly socket: unknown } | undefined;
  for (const file of [...configFiles, ...dropIns(machine)]) {
    const text = textOf(machine, file);
    if (text === undefined) continue;
    try {
      const socket = driverOf(parseToml(text));
      if (socket !== undefined) known = { file, socket };
    } catch (error) {
      const found = `${file} cannot be read: ${reasonOf(error)}`.replaceAll(/\s*\n\s*/g, " ");
      findings.push({ severity: "warning", about, found, fix: `correct ${file}` });
    }
  }
  const lines = `[engine.volume_plugins]\nholdfast = ${JSON.stringify(plugin)}`;
  if (known === undefined) {
    const found = "no containers.conf names the driver: podman does not find it";
    const fix = `put this into ${configFolder}/holdfast.conf or /etc/containers/containers.conf:`;
    return [...findings, { severity: "warning", about, found, fix: `${fix}\n${lines}` }];
  }
  const { file, socket } = known;
  if (socket === plugin) {
    return [...findings, { severity: "ok", about, found: `${file} names the driver` }];
  }
  const found = `${file} looks for the driver at ${String(socket)}, and not at ${plugin}`;
  return [...findings, { severity: "warning", about, found, fix: `let it say:\n${lines}` }];
}

/** `engine.volume_plugins.holdfast`. */
function driverOf(config: unknown): unknown {
  return ["engine", "volume_plugins", "holdfast"].reduce<unknown>(
    (table, key) =>
      typeof table === "object" && table !== null
        ? new Map(Object.entries(table)).get(key)
        : undefined,
    config,
  );
}

function dropIns({ fileRoot }: Machine): readonly string[] {
  try {
    return readdirSync(path.join(fileRoot, configFolder))
      .filter((name) => name.endsWith(".conf"))
      .toSorted()
      .map((name) => path.join(configFolder, name));
  } catch {
    return [];
  }
}
