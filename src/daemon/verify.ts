// `holdfast verify driver NAME`: a built-in driver and the conformance checks, put together.
import { statSync } from "node:fs";
import path from "node:path";
import type { VerifyReport, VerifyRequest } from "../cli/verify.ts";
import type { CheckOutcome } from "../conformance/check.ts";
import { ownPlaces } from "../conformance/own-places.ts";
import {
  type DriverReport,
  isWhole,
  renderDriverReport,
  verifyDriver,
} from "../conformance/verify.ts";
import type { DriverOptions } from "../core/driver.ts";
import { EngineError, storageError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { silentLog } from "../core/operation.ts";
import type { SecretStore } from "../core/secret-store.ts";
import { builtInDrivers } from "../drivers/all.ts";
import { linuxHost } from "../host/linux.ts";
import { openBenchFiles } from "./bench-files.ts";
import { type DaemonConfig, readConfig } from "./config.ts";
import { runParent } from "./run-directory.ts";
import { makeDaemonSecrets } from "./secrets.ts";
import { VerifyPlaces } from "./verify-places.ts";
import { sweepShare } from "./verify-share.ts";

/**
 * Runs every check in a fresh directory below `request.root`, or else below the data root that a
 * daemon would have, and removes it again; options of a bind mount are given a fresh directory on
 * their device. A running daemon and its volumes are not touched, nor is anything else on a bind
 * mount's device; other devices of `local` are written to as they are. On a server each volume of
 * the checks has a new directory of its own. What cannot be removed is named in the report. Throws
 * `driver.not_found`, `volume.option_invalid`, `storage.*`.
 */
export async function verifyBuiltInDriver(
  request: VerifyRequest,
  host: Host = linuxHost(),
): Promise<VerifyReport> {
  const places = new VerifyPlaces(host);
  let report: Ran;
  try {
    report = await runAllChecks(request, places, host);
  } catch (error) {
    const leftBehind = await places.remove({ mayStillMount: false });
    if (leftBehind.length === 0) throw error;
    const { code, message, details } = toEngineError(error);
    const words = [message, ...leftBehind.map((what) => `left behind: ${what}`)].join("\n");
    throw new EngineError(code, words, { cause: error, details });
  }
  const mayStillMount = report.outcomes.some(mayStillRun);
  const left = await places.remove({ mayStillMount });
  // All that a driver makes on this host lies in those places: when they are gone, so is that.
  const leftHere = left.length === 0 ? [] : [...report.leftBehind, ...left];
  const leftBehind = [...leftHere, ...report.leftOnServer];
  const whole: DriverReport = { ...report, leftBehind };
  return {
    isWhole: isWhole(whole),
    text: renderDriverReport(whole),
    leftBehind,
    promises: whole.outcomes.map(promiseOf),
  };
}

/** An outcome in the words of the command line. */
export function promiseOf(outcome: CheckOutcome): VerifyReport["promises"][number] {
  const { promise } = outcome;
  if (outcome.outcome !== "broken") return { promise, outcome: outcome.outcome };
  return { promise, outcome: "broken", reason: String(outcome.error) };
}

interface Ran extends DriverReport {
  /** What the checks have made on a server and could not take away, in words for a person. */
  readonly leftOnServer: readonly string[];
}

async function runAllChecks(
  request: VerifyRequest,
  places: VerifyPlaces,
  host: Host,
): Promise<Ran> {
  const parent = request.root === undefined ? configured().root : path.resolve(request.root);
  const scratch = places.make(parent);
  const root = path.join(scratch, "root");
  // Credentials lie in memory, whatever the root lies on. `local` has none.
  const isLocal = request.driver === "local";
  const runDirectory = isLocal ? path.join(scratch, "run") : places.make(runParent());
  const drivers = builtInDrivers({
    root,
    runDirectory,
    host,
    secrets: readSecrets(host),
    isFirstStart: true,
  });
  const driver = drivers.find((each) => each.name === request.driver);
  if (driver === undefined) {
    const known = drivers.map((each) => each.name).join(", ");
    throw new EngineError(
      "driver.not_found",
      `there is no driver ${JSON.stringify(request.driver)} to verify; there is: ${known}`,
    );
  }
  driver.validate(request.options);
  const files = openBenchFiles(path.join(scratch, "outside"));
  const { randomHex } = host;
  const parts = { files, randomHex };
  if (!isLocal) {
    // Untested, what is made belongs to nobody, and would be left behind.
    const { subpath, test: _, ...options } = request.options;
    const above = subpath === undefined ? "" : `${subpath}/`;
    const prefix = `holdfast-verify-${randomHex(8)}-`;
    const { driver: own } = ownPlaces(driver, `${above}${prefix}`);
    const optionSets = [options, { ...options, test: "on" }] as const;
    const report = await verifyDriver(own, { ...parts, optionSets });
    const share = subpath === undefined ? options : { ...options, subpath };
    const leftOnServer = report.outcomes.some(mayStillRun)
      ? [`directories ${prefix}* on the server: a check has not ended and may still make one`]
      : await sweepShare({ driver, host, options: share, prefix });
    return { ...report, leftOnServer };
  }
  const options = withOwnDevice(request.options, places);
  // `size` of 0 means no limit.
  const optionSets = [options, { ...options, size: "0" }] as const;
  return { ...(await verifyDriver(driver, { ...parts, optionSets })), leftOnServer: [] };
}

/** A check that was given up on goes on all the same. */
export function mayStillRun(outcome: CheckOutcome): boolean {
  if (outcome.outcome !== "broken") return false;
  return outcome.error instanceof EngineError && outcome.error.code === "operation.timed_out";
}

/** A bind mount shows the device's own files: the checks get a directory that was made for them. */
function withOwnDevice(options: DriverOptions, places: VerifyPlaces): DriverOptions {
  const { device, o } = options;
  const isBind = (o ?? "").split(",").some((word) => /^r?bind(=|$)/.test(word));
  if (!isBind || device === undefined || device === "") return options;
  // As mount(8) takes it, which is started in `/`.
  const directory = path.resolve("/", device);
  if (!isDirectory(directory)) {
    throw new EngineError("volume.option_invalid", `the device ${device} is no directory`, {
      details: { option: "device" },
    });
  }
  return { ...options, device: places.make(directory) };
}

function isDirectory(directory: string): boolean {
  try {
    return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch (error) {
    throw storageError(error, `looking at the device ${directory}`);
  }
}

/** Those that a daemon would have: opened when one is wanted, and only read. */
function readSecrets(host: Host): Pick<SecretStore, "read"> {
  return {
    read: async (name) =>
      await makeDaemonSecrets({ config: configured(), host, log: silentLog }).read(name),
  };
}

function configured(): DaemonConfig {
  return readConfig({ args: [], environment: process.env, userId: process.getuid?.() ?? 0 });
}
