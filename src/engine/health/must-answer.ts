// Sees that storage that is mounted already answers, before a container engine is sent there: its
// own system calls would wait for as long as the storage is silent, and its lists with them.
import type { VolumeDriver } from "../../core/driver.ts";
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import type { Drivers } from "../drivers.ts";
import { pause } from "../pause.ts";
import type { Health } from "./health.ts";
import { serverOf } from "./storage-server.ts";

/** How long the storage may take, in milliseconds. */
const ANSWER_MS_MAX = 5_000;
/** The pause between two tries while another one asks, in milliseconds. */
const ASK_AGAIN_MS = 50;

interface Asked {
  readonly host: Pick<Host, "askStorage" | "isMountPoint">;
  readonly driver: VolumeDriver | undefined;
}

/**
 * What is not mounted yet is asked when it is, and what is on this machine is not asked. A mount
 * that is dead is mended. Throws `remote.unreachable` within some 5 s, what the driver throws.
 */
export async function mustAnswer(
  { host, driver }: Asked,
  entry: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { name, mountpoint } = entry;
  const server = serverOf(driver, entry);
  if (server === "" || !host.isMountPoint(mountpoint)) return;
  const limit = AbortSignal.timeout(ANSWER_MS_MAX);
  const signal = AbortSignal.any([operation.signal, limit]);
  try {
    await askInTurn(host, mountpoint, { ...operation, signal });
  } catch (thrown) {
    operation.signal.throwIfAborted();
    const { details, message } = toEngineError(thrown);
    if (details["isGone"] === true) return await driver?.health?.heal(name, operation);
    const reason = limit.aborted ? `nothing within ${ANSWER_MS_MAX / 1_000} s` : message;
    throw silentStorage(name, server, reason);
  }
}

/** As `mustAnswer`, but a server that is known to be silent is not asked: it throws at once. */
export async function refuseSilent(
  {
    host,
    drivers,
    health,
  }: Pick<Asked, "host"> & {
    readonly drivers: Pick<Drivers, "get">;
    readonly health: Pick<Health, "of">;
  },
  entry: VolumeEntry,
  operation: Operation,
): Promise<void> {
  const { state, server = "", reason } = health.of(entry.name) ?? {};
  if (state === "unreachable") throw silentStorage(entry.name, server, reason ?? "");
  await mustAnswer({ host, driver: drivers.get(entry.driver) }, entry, operation);
}

/** `remote.unreachable`. `reason`: what the storage, or the wait for it, came to; "": not known. */
export function silentStorage(name: VolumeName, server: string, reason: string): EngineError {
  const why = reason === "" ? "" : ` (${reason})`;
  return new EngineError(
    "remote.unreachable",
    `volume ${name}: the storage on ${server} does not answer${why}`,
    { details: { server, reason } },
  );
}

/** Others ask the same storage, one at a time. */
async function askInTurn(
  host: Pick<Host, "askStorage">,
  directory: string,
  operation: Operation,
): Promise<void> {
  for (;;) {
    try {
      await host.askStorage(directory, operation);
      return;
    } catch (thrown) {
      if (toEngineError(thrown).code !== "driver.timed_out") throw thrown;
      operation.signal.throwIfAborted();
      await pause(ASK_AGAIN_MS);
    }
  }
}
