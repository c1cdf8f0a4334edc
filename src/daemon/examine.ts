// `holdfast doctor`: its looks and this machine put together.
import path from "node:path";
import type { DoctorRequest, Finding } from "../core/doctor.ts";
import { toEngineError } from "../core/errors.ts";
import { runLooks } from "../doctor/run-looks.ts";
import { linuxHost } from "../host/linux.ts";
import { type DaemonConfig, readConfig } from "./config.ts";
import { LOCK_SOCKET_NAME } from "./lock-directory.ts";

/** See core/doctor.ts. */
export async function examineHost(request: DoctorRequest): Promise<readonly Finding[]> {
  const { apiSocket, places } = request;
  const userId = process.getuid?.() ?? 0;
  const { config, findings } = settingsHere(userId);
  const ofDaemon = places && { ...places, pluginSocket: places.pluginSocket ?? undefined };
  const { root, secretKey, pluginSocket } = ofDaemon ?? config;
  const locks = places?.lockDirectory ?? undefined;
  const found = await runLooks({
    host: linuxHost(),
    userId,
    dataRoot: root,
    secretKey,
    sockets: {
      ...{ api: apiSocket, plugin: pluginSocket, docker: "/run/docker.sock" },
      locks: locks && path.join(locks, LOCK_SOCKET_NAME),
    },
    fileRoot: "",
  });
  return [whereFrom(request), ...findings, ...found];
}

/** Whose places are looked at: a daemon may have been given others than this command line. */
function whereFrom({ apiSocket, places }: DoctorRequest): Finding {
  const about = "looked at";
  if (places !== undefined) {
    return { severity: "ok", about, found: `the places that the daemon at ${apiSocket} has` };
  }
  const found = `no daemon at ${apiSocket} says where it has what: the places of the settings here`;
  const fix = "name the daemon's socket: holdfast --host unix://PATH doctor";
  return { severity: "note", about, found, fix };
}

interface Settings {
  readonly config: DaemonConfig;
  /** What is wrong with them: then `config` has the defaults. */
  readonly findings: readonly Finding[];
}

/** What a daemon that is started here now would have. */
function settingsHere(userId: number): Settings {
  try {
    // HOLDFAST_HOST is of clients here, and may hold what no daemon takes.
    const environment = { ...process.env, HOLDFAST_HOST: "" };
    return { config: readConfig({ args: [], environment, userId }), findings: [] };
  } catch (error) {
    const { message, recovery } = toEngineError(error);
    const config = readConfig({ args: ["--config", "/dev/null"], environment: {}, userId });
    const about = "configuration";
    return { config, findings: [{ severity: "problem", about, found: message, fix: recovery }] };
  }
}
