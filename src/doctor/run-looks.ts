// All looks at once, each with its deadline: whatever hangs becomes a finding.
import type { Finding } from "../core/doctor.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { lookAtDocker } from "./docker.ts";
import { lookAtKernel, lookAtUser } from "./kernel.ts";
import { type Look, type Machine, reasonOf } from "./machine.ts";
import { lookAtPodman } from "./podman.ts";
import { lookAtSecretKey } from "./secret-key.ts";
import {
  lookAtApiSocket,
  lookAtLockSocket,
  lookAtOtherDrivers,
  lookAtPluginSocket,
} from "./sockets.ts";
import { lookAtStorage } from "./storage.ts";
import { lookAtTools } from "./tools.ts";

/** How long one look may take. */
const LOOK_MS_MAX = 5_000;

/** In the order of the report, by what they look at. */
const looks: readonly (readonly [about: string, look: Look])[] = [
  ["kernel", lookAtKernel],
  ["user", lookAtUser],
  ["data root", lookAtStorage],
  ["secret key", lookAtSecretKey],
  ["api socket", lookAtApiSocket],
  ["driver socket", lookAtPluginSocket],
  ["lock socket", lookAtLockSocket],
  ["other drivers", lookAtOtherDrivers],
  ["docker", lookAtDocker],
  ["podman", lookAtPodman],
  ["programs", lookAtTools],
];

export interface LooksOptions {
  /** Instead of all. */
  readonly looks?: typeof looks;
  /** Instead of five seconds. */
  readonly lookMsMax?: number;
}

/** Never rejects, and resolves soon after the deadline of a look, whatever hangs. */
export async function runLooks(
  machine: Machine,
  options: LooksOptions = {},
): Promise<readonly Finding[]> {
  const msMax = options.lookMsMax ?? LOOK_MS_MAX;
  const findings = await Promise.all(
    (options.looks ?? looks).map(([about, look]) => runLook(machine, { about, look, msMax })),
  );
  return findings.flat();
}

async function runLook(
  machine: Machine,
  { about, look, msMax }: { readonly about: string; readonly look: Look; readonly msMax: number },
): Promise<readonly Finding[]> {
  const { promise: late, resolve } = Promise.withResolvers<readonly Finding[]>();
  const abort = new AbortController();
  const tooLate: Finding = {
    severity: "problem",
    about,
    found: `nothing could be found out within ${msMax / 1000} s: something there does not answer`,
    fix: "look for dead storage and dead servers (ps -eo stat,pid,args, state D)",
  };
  const timer = setTimeout(() => {
    abort.abort();
    resolve([tooLate]);
  }, msMax);
  const operation = {
    id: makeOperationId(`doctor-${about}`),
    caller: systemCaller,
    log: silentLog,
    signal: abort.signal,
  };
  try {
    return await Promise.race([look(machine, operation), late]);
  } catch (error) {
    if (abort.signal.aborted) return [tooLate];
    const found = `it could not be looked at: ${reasonOf(error)}`;
    return [{ severity: "warning", about, found }];
  } finally {
    clearTimeout(timer);
  }
}
