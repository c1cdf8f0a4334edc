// The Docker Engine: is it there, does it answer, and does it see what we mount?
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { Finding } from "../core/doctor.ts";
import { holdsDirectoryOf, isShared, mountOf } from "../core/mount-of.ts";
import type { Operation } from "../core/operation.ts";
import { firstLineOf, type Look, type Machine, reasonOf, textOf } from "./machine.ts";
import { getJson, knock } from "./unix-socket.ts";

const about = "docker";

/** dockerd answers /info in milliseconds, unless something that it asks does not answer it. */
const INFO_MS_MAX = 3_000;

export const lookAtDocker: Look = async (machine, operation) => {
  const version = await firstLineOf(machine, ["dockerd", "--version"], operation);
  const pids = processesNamed(machine, "dockerd");
  if (version === null && pids.length === 0) {
    const fix = "apt-get install docker.io, where it is wanted";
    return [{ severity: "note", about, found: "no dockerd is installed", fix }];
  }
  const findings: Finding[] = [];
  if (version !== null) findings.push({ severity: "ok", about, found: `installed: ${version}` });
  findings.push(...(await daemonFindings(machine, pids, operation)));
  for (const pid of pids) findings.push(...viewOf(machine, pid));
  return findings;
};

async function daemonFindings(
  { sockets: { docker } }: Machine,
  pids: readonly number[],
  operation: Operation,
): Promise<readonly Finding[]> {
  const fix = "systemctl start docker";
  if (pids.length === 0) return [{ severity: "note", about, found: "dockerd does not run", fix }];
  const runs = `dockerd runs (pid ${pids.join(", ")})`;
  const state = await knock(docker);
  if (state !== "listens") {
    const found = `${runs}; ${docker} is ${state}`;
    const hint = "look at its --host, and at journalctl -u docker";
    return [{ severity: "note", about, found, fix: hint }];
  }
  const signal = AbortSignal.any([operation.signal, AbortSignal.timeout(INFO_MS_MAX)]);
  let info: EngineInfo;
  try {
    // Docker's own shape; each field is looked at before it is used.
    info = (await getJson(docker, "/info", signal)) as EngineInfo;
  } catch (error) {
    const found = `${runs}, and does not answer on ${docker}: ${reasonOf(error)}`;
    const hint = "look for dead drivers below, and at journalctl -u docker";
    return [{ severity: "problem", about, found, fix: hint }];
  }
  const found = `${runs} and answers on ${docker}: version ${String(info.ServerVersion)}`;
  return [{ severity: "ok", about, found }, ...securityFindings(info)];
}

interface EngineInfo {
  readonly ServerVersion?: unknown;
  readonly SecurityOptions?: unknown;
}

function securityFindings({ SecurityOptions }: EngineInfo): readonly Finding[] {
  const words = Array.isArray(SecurityOptions) ? SecurityOptions.map(String) : [];
  const findings: Finding[] = [];
  if (words.some((word) => word.startsWith("name=userns"))) {
    findings.push({
      severity: "warning",
      about,
      found: "userns-remap: root in a container is another user on this host",
      fix:
        "give volumes owner= in the host's numbers: the first number of dockremap in " +
        "/etc/subuid plus the number in the container",
    });
  }
  if (words.some((word) => word.startsWith("name=rootless"))) {
    findings.push({
      severity: "warning",
      about,
      found: "a rootless dockerd looks for drivers in its user's directories",
      fix: "use Holdfast with a dockerd that runs as root",
    });
  }
  return findings;
}

/** What this dockerd sees of the driver's socket and of new mounts. */
function viewOf(machine: Machine, pid: number): readonly Finding[] {
  const { fileRoot, host, dataRoot } = machine;
  const namespaceOf = (who: string) =>
    readlinkSync(path.join(fileRoot, "/proc", who, "ns/mnt"), "utf8");
  try {
    if (namespaceOf("self") === namespaceOf(String(pid))) {
      return [{ severity: "ok", about, found: `dockerd ${pid} is in this mount namespace` }];
    }
  } catch (error) {
    const found = `the mount namespace of dockerd ${pid} cannot be told: ${reasonOf(error)}`;
    return [{ severity: "note", about, found, fix: "run holdfast doctor as root" }];
  }
  const own = mountOf(host.mounts(), holdsDirectoryOf(dataRoot));
  const group = own?.propagation.find((word) => word.startsWith("shared:"))?.slice(7);
  const table = textOf(machine, `/proc/${pid}/mountinfo`) ?? "";
  const follows = group !== undefined && new RegExp(` (shared|master):${group} `).test(table);
  const name = `dockerd ${pid} is in a mount namespace of its own`;
  const mountFix =
    own !== undefined && isShared(own)
      ? "start dockerd anew; its unit may have MountFlags=shared or slave, and no other"
      : `mount --make-rshared ${own?.target ?? "/"}, or start the daemon; then start dockerd anew`;
  return [
    follows
      ? { severity: "ok", about, found: `${name}, and gets new mounts` }
      : { severity: "problem", about, found: `${name}, and sees no new mount`, fix: mountFix },
    ...socketFinding(machine, pid),
  ];
}

function socketFinding({ fileRoot, sockets }: Machine, pid: number): readonly Finding[] {
  const { plugin } = sockets;
  if (plugin === undefined) return [];
  const own = lstatSync(plugin, { throwIfNoEntry: false });
  if (own === undefined) return [];
  const theirs = lstatSync(path.join(fileRoot, `/proc/${pid}/root`, plugin), {
    throwIfNoEntry: false,
  });
  if (theirs?.ino === own.ino && theirs.dev === own.dev) {
    return [{ severity: "ok", about, found: `dockerd ${pid} sees ${plugin}` }];
  }
  const found = `dockerd ${pid} does not see ${plugin}: it has another ${path.dirname(plugin)}`;
  const fix = "let it see this host's /run/docker, or give Holdfast its --plugin-socket there";
  return [{ severity: "problem", about, found, fix }];
}

function processesNamed({ fileRoot, ...machine }: Machine, name: string): readonly number[] {
  return readdirSync(path.join(fileRoot, "/proc"))
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => textOf({ fileRoot, ...machine }, `/proc/${pid}/comm`)?.trim() === name)
    .map(Number);
}
