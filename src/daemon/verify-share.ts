// What the checks of a driver have made on a user's server, and how it goes again.
//
// A volume that was forgotten leaves its directory there, as it should: nobody else will ever want
// that one. All of them have a name that only this run knows, so that nothing else is ever taken.
import path from "node:path";
import type { DriverOptions, VolumeDriver } from "../core/driver.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeOperationId, parseHolderId, parseVolumeName } from "../core/names.ts";
import { type Operation, silentLog, systemCaller } from "../core/operation.ts";

/** How long all of it may take, in milliseconds. */
const SWEEP_MS_MAX = 120_000;

export interface SweptShare {
  readonly driver: VolumeDriver;
  readonly host: Pick<Host, "run" | "randomHex">;
  /** Those of the checks' volumes, with the `subpath` that the directories are in. */
  readonly options: DriverOptions;
  /** What their names begin with; letters, digits, `-`. */
  readonly prefix: string;
}

/** Removes them all. Says, for a person, what is left behind and why. Never rejects. */
export async function sweepShare(share: SweptShare): Promise<readonly string[]> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new EngineError("operation.timed_out", "the storage takes too long"));
  }, SWEEP_MS_MAX);
  const id = makeOperationId("verify-sweep");
  const operation = { id, caller: systemCaller, signal: controller.signal, log: silentLog };
  try {
    await sweep(share, operation);
    return [];
  } catch (thrown) {
    const { message } = toEngineError(thrown);
    return [`directories ${share.prefix}* on the server, if there are any: ${message}`];
  } finally {
    clearTimeout(timer);
  }
}

async function sweep(share: SweptShare, operation: Operation): Promise<void> {
  const { driver, host, options } = share;
  const name = parseVolumeName(`holdfast-verify-${host.randomHex(8)}-sweep`);
  const holder = parseHolderId("verify-sweep");
  // Untested, so that whatever is found or made there is nobody's to destroy with this volume.
  await driver.create({ name, options: { ...options, test: "off" } }, operation);
  try {
    const mounted = await driver.mount(name, holder, operation);
    try {
      await removeBelow(share, mounted, operation);
    } finally {
      await driver.unmount(name, holder, operation);
    }
  } finally {
    await driver.forget(name, operation);
  }
}

async function removeBelow(
  { host, prefix }: SweptShare,
  mounted: string,
  operation: Operation,
): Promise<void> {
  const listing = await host.run("ls", ["--almost-all", "-1", "-U", "--", mounted], operation);
  if (listing.exitCode !== 0) throw new EngineError("storage.failed", listing.stderr.trim());
  const names = listing.stdout.split("\n");
  // A mark is beside its directory.
  const ours = names.filter((each) => each.replace(/^\.holdfast-/, "").startsWith(prefix));
  if (ours.length === 0) return;
  const places = ours.map((each) => path.join(mounted, each));
  const words = ["--recursive", "--force", "--one-file-system", "--", ...places];
  const { exitCode, stderr } = await host.run("rm", words, operation);
  if (exitCode !== 0) throw new EngineError("storage.failed", stderr.split("\n", 1)[0] ?? "");
}
