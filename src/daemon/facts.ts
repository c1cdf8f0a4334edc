// What the daemon says about itself: gathered once at start.
import { readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { DaemonFacts } from "../api/facts.ts";
import type { DaemonPlaces } from "../core/doctor.ts";
import type { StateOrigin } from "../core/state-store.ts";
import { driverManuals } from "../drivers/all.ts";
import type { RecoveryReport } from "../engine/recovery/recovery-stage.ts";
import { gitCommit, version } from "./build-facts.ts";

/** How many volumes a sentence names. */
const NAMES_COUNT_MAX = 20;

export function gatherFacts(parts: {
  readonly places: DaemonPlaces;
  readonly id: string;
  readonly origin: StateOrigin;
  readonly recovery: RecoveryReport;
  /** Names of built-in drivers that plugins have: see `settleNames`. */
  readonly ofPlugins?: readonly string[];
}): DaemonFacts {
  return {
    version,
    gitCommit,
    buildTime: "",
    runtime: `bun${process.versions["bun"] ?? ""}`,
    id: parts.id,
    root: parts.places.root,
    places: parts.places,
    hostName: os.hostname(),
    kernelVersion: os.release(),
    operatingSystem: distribution(),
    arch: process.arch === "x64" ? "amd64" : process.arch,
    cpuCount: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    driverManuals: driverManuals(),
    warnings: [
      ...warnings(parts.origin, parts.recovery),
      ...damagedStates(parts.places.root, parts.origin),
      ...namesOfPlugins(parts.ofPlugins ?? []),
    ],
  };
}

/** Sentences that stay until somebody has acted on them. */
function warnings(origin: StateOrigin, recovery: RecoveryReport): readonly string[] {
  const sentences: string[] = [];
  if (origin.kind === "salvaged") {
    const { copiedAtMs } = origin;
    const source =
      copiedAtMs === null
        ? "no copy of it could be read: labels are lost"
        : `labels, notes, protection, aliases are those of ${new Date(copiedAtMs).toISOString()}`;
    const aside = origin.damagedPath === null ? "" : ` (kept as ${origin.damagedPath})`;
    // SQLite's own words may have several lines.
    const reason = origin.reason.replaceAll(/\s*\n\s*/g, "; ");
    sentences.push(`The state was lost or damaged, ${reason}${aside}; ${source}.`);
    sentences.push(...sinceTheCopy(origin.copiedAtMs, recovery));
  }
  if (recovery.unlisted.length > 0) {
    sentences.push(`These drivers could not list their volumes: ${recovery.unlisted.join(", ")}.`);
  }
  if (recovery.failed.length > 0) {
    sentences.push(
      `Their storage failed at the start, see the log: ${recovery.failed.join(", ")}.`,
    );
  }
  if (recovery.trashFound.length > 0) {
    sentences.push(
      "Found in the trash without a record, and can be restored: " +
        `${some(recovery.trashFound)}.`,
    );
  }
  if (recovery.strays.length > 0) {
    sentences.push(`In the trash without a record, kept: ${some(recovery.strays)}.`);
  }
  return sentences;
}

/** What does not fit the rows of an older time: it may have been removed since. */
function sinceTheCopy(copiedAtMs: number | null, recovery: RecoveryReport): readonly string[] {
  if (copiedAtMs === null) return [];
  const time = new Date(copiedAtMs).toISOString();
  const { rebuilt, missing, leftRemoved } = recovery;
  const sentences: string[] = [];
  const findings: string[] = [];
  if (rebuilt.length > 0) findings.push(`${were(rebuilt)} made again, empty (${some(rebuilt)})`);
  if (missing.length > 0) findings.push(`${are(missing)} missing (${some(missing)})`);
  if (findings.length > 0) {
    sentences.push(
      `${were([...rebuilt, ...missing], "of the volumes of", time)} not whole: ` +
        `${findings.join(", ")}. They may have been removed since: if so, remove them again.`,
    );
  }
  if (leftRemoved.length > 0) {
    sentences.push(
      `${were(leftRemoved, "of the volumes of", time)} removed since, and what is left in the ` +
        `trash is kept: ${some(leftRemoved)}.`,
    );
  }
  return sentences;
}

function were(names: readonly string[], ...of: readonly string[]): string {
  return [names.length, ...of, names.length === 1 ? "was" : "were"].join(" ");
}

function are(names: readonly string[]): string {
  return `${names.length} ${names.length === 1 ? "is" : "are"}`;
}

function some(names: readonly string[]): string {
  const rest = names.length - NAMES_COUNT_MAX;
  const shown = names.slice(0, NAMES_COUNT_MAX).join(", ");
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

/** A damaged state that was put aside in an earlier life: nobody has looked at it yet. */
function damagedStates(root: string, origin: StateOrigin): readonly string[] {
  const justNow = origin.kind === "salvaged" ? origin.damagedPath : null;
  return readdirSync(root)
    .filter((file) => /^state\.db\.damaged-\w+Z(?:-\d+)?$/.test(file))
    .map((file) => path.join(root, file))
    .filter((file) => file !== justNow)
    .map((file) => `A damaged state was put aside as ${file}: look at it, then remove it.`);
}

/** Nothing is wrong with it: who looks for the built-in driver is told why it is not there. */
function namesOfPlugins(names: readonly string[]): readonly string[] {
  return names.map(
    (name) =>
      `The driver ${name} is a plugin here, and the built-in one of that name is not offered: ` +
      "it is from the start on that finds neither volumes of the plugin nor the plugin.",
  );
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"));
    return name?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
