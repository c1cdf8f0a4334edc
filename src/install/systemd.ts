// What systemd is told after an installation and before its end.
import type { StepReport } from "../core/installation.ts";
import { hasSystemd, type InstallParts, mustRun, says } from "./parts.ts";
import { unitNames } from "./units.ts";

const service = "holdfast.service";
const sockets = ["holdfast.socket", "holdfast-plugin.socket"];

/** Names of units that were written, and whether the executable was. */
export interface Changes {
  readonly units: ReadonlySet<string>;
  readonly hasNewExecutable: boolean;
}

/**
 * Enables and starts what is not; restarts what is new. Containers do not notice: the sockets stay
 * open unless they changed themselves, and KillMode=process ends the daemon alone.
 */
export async function* start(parts: InstallParts, changes: Changes): AsyncGenerator<StepReport> {
  if (changes.units.size > 0) yield await mustRun(parts, ["systemctl", "daemon-reload"]);
  const disabled = await those(parts, unitNames, "is-enabled");
  yield disabled.length === 0
    ? { state: "unchanged", what: `systemctl enable ${unitNames.join(" ")}` }
    : await mustRun(parts, ["systemctl", "enable", ...disabled]);

  const silent = await those(parts, sockets, "is-active");
  const hasNewSocket = sockets.some((name) => changes.units.has(name));
  const isNew = changes.hasNewExecutable || changes.units.has(service);
  let isRunning = await says(parts, ["systemctl", "is-active", "--quiet", service]);
  // systemd opens no socket for a service that runs already.
  if (isRunning && (hasNewSocket || silent.length > 0)) {
    yield await mustRun(parts, ["systemctl", "stop", ...sockets, service]);
    isRunning = false;
  }
  if (!isRunning || silent.length > 0) {
    yield await mustRun(parts, ["systemctl", "start", ...sockets]);
  }
  if (!isRunning) yield await mustRun(parts, ["systemctl", "start", service]);
  else if (isNew) yield await mustRun(parts, ["systemctl", "restart", service]);
  else yield { state: "unchanged", what: `systemctl start ${service}` };
}

/** Ends the daemon and takes the sockets away. Mounts stay. */
export async function* stop(parts: InstallParts): AsyncGenerator<StepReport> {
  if (!hasSystemd(parts)) {
    const why = "a daemon that was started by hand goes on: end it with SIGTERM";
    yield { state: "warning", what: "no systemd runs here", why };
    return;
  }
  // Sockets first: a client would start the service again.
  yield await mustRun(parts, ["systemctl", "disable", "--now", ...sockets, service]);
}

/** The units of which systemctl does not say so. */
async function those(
  parts: InstallParts,
  units: readonly string[],
  question: "is-enabled" | "is-active",
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const unit of units) {
    if (!(await says(parts, ["systemctl", question, "--quiet", unit]))) found.push(unit);
  }
  return found;
}
