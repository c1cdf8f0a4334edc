// The probe of a test: a file that is written, read back and removed, and that has reached the
// server in between, whenever its writer is told.
import { setTimeout as pause } from "node:timers/promises";
import type { DriverOptions } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { SessionPlace, Sessions } from "./sessions.ts";
import { takeStep } from "./steps.ts";

const LOOK_AGAIN_MS = 50;

export interface ProbeRequest<Options> {
  readonly sessions: Sessions<Options>;
  readonly host: Host;
  /** Where it is mounted, and with which options. */
  readonly at: SessionPlace;
  readonly mounted: DriverOptions;
  /** Below what is mounted; "": there. */
  readonly path: string;
}

/** Throws what the storage says, `remote.denied` with why the file cannot be sent. */
export async function probe<Options>(
  { sessions, host, at, mounted, path }: ProbeRequest<Options>,
  operation: Operation,
): Promise<void> {
  const { data } = at.place;
  const name = `.holdfast-probe-${host.randomHex(8)}`;
  const { kind } = sessions;
  if (kind.writeBack === undefined || kind.look === undefined) {
    await takeStep(host, data, { do: "probe", path, name }, operation);
    return;
  }
  await takeStep(host, data, { do: "probe", path, name, stays: true }, operation);
  try {
    for (;;) {
      const mount = sessions.mountFor(at, mounted);
      const { unsaved, degraded } = await kind.look(mount, operation);
      if (unsaved === undefined || unsaved.fileCount === 0) break;
      if (degraded !== undefined) throw new EngineError("remote.denied", degraded);
      await pause(LOOK_AGAIN_MS, undefined, { signal: operation.signal });
    }
  } finally {
    await takeStep(host, data, { do: "unprobe", path, name }, operation);
  }
}
