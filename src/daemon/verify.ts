// `holdfast verify driver NAME`: a built-in driver and the conformance checks, put together.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import type { VerifyReport, VerifyRequest } from "../cli/verify.ts";
import { isWhole, renderDriverReport, verifyDriver } from "../conformance/verify.ts";
import { EngineError, storageError } from "../core/errors.ts";
import { builtInDrivers } from "../drivers/all.ts";
import { linuxHost } from "../host/linux.ts";
import { openBenchFiles } from "./bench-files.ts";
import { readConfig } from "./config.ts";

/**
 * Runs every check in a fresh directory below `request.root`, or else below the data root that a
 * daemon would have, and removes it again. A running daemon and its volumes are not touched.
 * Throws `driver.not_found`, `storage.*`.
 */
export async function verifyBuiltInDriver(request: VerifyRequest): Promise<VerifyReport> {
  const parent = request.root === undefined ? configuredRoot() : path.resolve(request.root);
  const scratch = freshDirectory(parent);
  try {
    const host = linuxHost();
    const drivers = builtInDrivers({ root: path.join(scratch, "root"), host, isFirstStart: true });
    const driver = drivers.find((each) => each.name === request.driver);
    if (driver === undefined) {
      const known = drivers.map((each) => each.name).join(", ");
      throw new EngineError(
        "driver.not_found",
        `there is no driver ${JSON.stringify(request.driver)} to verify; there is: ${known}`,
      );
    }
    await using files = openBenchFiles(path.join(scratch, "outside"));
    const { randomHex } = host;
    // `size` of 0 means no limit, so that every driver of ours takes it.
    const optionSets = [request.options, { ...request.options, size: "0" }] as const;
    const report = await verifyDriver(driver, { files, optionSets, randomHex });
    return {
      isWhole: isWhole(report),
      text: renderDriverReport(report),
      promises: report.outcomes.map((outcome) => ({
        promise: outcome.promise,
        outcome: outcome.outcome,
        ...(outcome.outcome === "broken" ? { reason: String(outcome.error) } : {}),
      })),
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function configuredRoot(): string {
  return readConfig({ args: [], environment: process.env, userId: process.getuid?.() ?? 0 }).root;
}

function freshDirectory(parent: string): string {
  try {
    mkdirSync(parent, { recursive: true });
    return mkdtempSync(path.join(parent, "holdfast-verify-"));
  } catch (error) {
    throw storageError(error, `making a directory for the checks below ${parent}`);
  }
}
