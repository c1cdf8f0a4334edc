// Holdfast's own sockets, and what others left where Docker looks for drivers.
import { lstatSync, readdirSync } from "node:fs";
import path from "node:path";
import type { Finding } from "../core/doctor.ts";
import { type Look, type Machine, reasonOf, textOf } from "./machine.ts";
import { knock } from "./unix-socket.ts";

/** Where Docker looks for drivers: sockets, then files that say where a driver is. */
const socketFolder = "/run/docker/plugins";
const specFolders = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

const cost = "costs dockerd 15 seconds per command";
const startIt = "systemctl start holdfast.socket holdfast-plugin.socket holdfast.service";

const MODE_BITS = 0o7777;
const OTHERS = 0o007;

export const lookAtApiSocket: Look = async ({ sockets: { api } }) => {
  const about = "api socket";
  const state = await knock(api);
  if (state === "denied") {
    const fix = "run it as root, or ask to be put into the socket's group";
    return [{ severity: "warning", about, found: `${api}: this user may not connect`, fix }];
  }
  if (state !== "listens") {
    const found = `${api}: ${state === "absent" ? "no daemon listens there" : `it is ${state}`}`;
    return [{ severity: "warning", about, found, fix: `${startIt}, or: holdfast daemon` }];
  }
  const { mode, uid, gid } = lstatSync(api);
  const found = `${api} listens, mode ${octal(mode)}, owner ${uid}:${gid}`;
  if ((mode & OTHERS) === 0) return [{ severity: "ok", about, found }];
  const fix = `chmod 660 ${api}, and SocketMode=0660 in its unit`;
  return [{ severity: "problem", about, found: `${found}: everybody here can be root by it`, fix }];
};

export const lookAtPluginSocket: Look = async ({ sockets: { plugin } }) => {
  const about = "driver socket";
  if (plugin === undefined) {
    return [{ severity: "note", about, found: "none is configured: no engine finds the driver" }];
  }
  const state = await knock(plugin);
  if (state === "listens") {
    const { mode, uid, gid } = lstatSync(plugin);
    const found = `${plugin} listens, mode ${octal(mode)}, owner ${uid}:${gid}`;
    const others = "only root should reach it: chmod 600, and SocketMode=0600 in its unit";
    if ((mode & OTHERS) !== 0) return [{ severity: "problem", about, found, fix: others }];
    return [{ severity: "ok", about, found }];
  }
  if (state === "absent") {
    const found = `${plugin} is not there: Docker knows no driver holdfast`;
    return [{ severity: "warning", about, found, fix: startIt }];
  }
  if (state === "denied") {
    return [{ severity: "note", about, found: `${plugin}: only root can tell whether it listens` }];
  }
  const found = `${plugin} is ${state}: it ${cost}`;
  return [{ severity: "problem", about, found, fix: `${startIt}, or: rm ${plugin}` }];
};

/** Everybody in a container may connect to it: it is for locks alone. */
export const lookAtLockSocket: Look = async ({ sockets: { locks } }) => {
  const about = "lock socket";
  if (locks === undefined) return [];
  const state = await knock(locks);
  if (state === "listens") return [{ severity: "ok", about, found: `${locks} listens` }];
  const found = `${locks} is ${state}: containers get no locks`;
  return [{ severity: "warning", about, found, fix: "systemctl restart holdfast.service" }];
};

/** Of other drivers: a dead one is not ours, and makes Docker hang all the same. */
export const lookAtOtherDrivers: Look = async (machine) => {
  const findings: Finding[] = [];
  for (const file of filesIn(machine, socketFolder, /\.sock$/)) {
    if (file === machine.sockets.plugin) continue;
    findings.push(...(await socketFinding(path.join(machine.fileRoot, file))));
  }
  for (const folder of specFolders) {
    for (const file of filesIn(machine, folder, /\.(spec|json)$/)) {
      findings.push(...(await specFinding(machine, file)));
    }
  }
  if (findings.length > 0) return findings;
  return [{ severity: "ok", about: "other drivers", found: "nothing dead lies in Docker's way" }];
};

async function socketFinding(file: string): Promise<readonly Finding[]> {
  const about = "other drivers";
  const state = await knock(file);
  if (state === "listens") return [{ severity: "ok", about, found: `${file} listens` }];
  if (state !== "dead" && state !== "silent") return [];
  const fix = `start the driver that belongs there, or: rm ${file}`;
  return [{ severity: "warning", about, found: `${file} is ${state}: it ${cost}`, fix }];
}

async function specFinding(machine: Machine, file: string): Promise<readonly Finding[]> {
  const about = "other drivers";
  const address = addressOf(file, textOf(machine, file) ?? "");
  const socket = /^unix:\/\/(\/.*)$/.exec(address)?.[1];
  if (socket === undefined) {
    const found = `${file} names ${address === "" ? "nothing" : address}, which was not tried`;
    return [
      { severity: "note", about, found, fix: `rm ${file}, where nobody answers there: it ${cost}` },
    ];
  }
  const state = await knock(socket);
  if (state === "listens") return [{ severity: "ok", about, found: `${file}: ${socket} listens` }];
  const found = `${file} names ${socket}, which is ${state}: it ${cost}`;
  const fix = `start the driver that belongs there, or: rm ${file}`;
  return [{ severity: "warning", about, found, fix }];
}

/** A .spec is a URL; a .json has it as `Addr`. */
function addressOf(file: string, text: string): string {
  if (file.endsWith(".spec")) return text.trim();
  try {
    const { Addr } = JSON.parse(text) as { readonly Addr?: unknown };
    return typeof Addr === "string" ? Addr : "";
  } catch (error) {
    return `what cannot be read (${reasonOf(error)})`;
  }
}

/** `FOLDER/NAME.x` and `FOLDER/NAME/NAME.x`, as Docker looks for them; without the file root. */
function filesIn({ fileRoot }: Machine, folder: string, ending: RegExp): readonly string[] {
  const names = namesIn(path.join(fileRoot, folder));
  const deeper = names.flatMap((name) =>
    namesIn(path.join(fileRoot, folder, name))
      .filter((inner) => ending.test(inner) && inner.replace(ending, "") === name)
      .map((inner) => path.join(folder, name, inner)),
  );
  return [
    ...names.filter((name) => ending.test(name)).map((name) => path.join(folder, name)),
    ...deeper,
  ];
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    // It is not there, or is a file.
    return [];
  }
}

function octal(mode: number): string {
  return `0${(mode & MODE_BITS).toString(8)}`;
}
