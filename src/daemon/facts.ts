// What the daemon says about itself: gathered once at start.
import { readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { DaemonFacts } from "../api/facts.ts";
import type { StateOrigin } from "../core/state-store.ts";
import type { RecoveryReport } from "../engine/recovery.ts";
import { gitCommit, version } from "./build-facts.ts";

export function gatherFacts(parts: {
  readonly root: string;
  readonly id: string;
  readonly origin: StateOrigin;
  readonly recovery: RecoveryReport;
}): DaemonFacts {
  return {
    version,
    gitCommit,
    buildTime: "",
    runtime: `bun${process.versions["bun"] ?? ""}`,
    id: parts.id,
    root: parts.root,
    hostName: os.hostname(),
    kernelVersion: os.release(),
    operatingSystem: distribution(),
    arch: process.arch === "x64" ? "amd64" : process.arch,
    cpuCount: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    warnings: [
      ...warnings(parts.origin, parts.recovery),
      ...damagedStates(parts.root, parts.origin),
    ],
  };
}

/** Sentences that stay until somebody has acted on them. */
function warnings(origin: StateOrigin, recovery: RecoveryReport): readonly string[] {
  const sentences: string[] = [];
  if (origin.kind === "salvaged") {
    const source =
      origin.copiedAtMs === null
        ? "no copy of it could be read: labels are lost"
        : `labels are those of ${new Date(origin.copiedAtMs).toISOString()}`;
    const aside = origin.damagedPath === null ? "" : ` (kept as ${origin.damagedPath})`;
    // SQLite's own words may have several lines.
    const reason = origin.reason.replaceAll(/\s*\n\s*/g, "; ");
    sentences.push(`The state was lost or damaged, ${reason}${aside}; ${source}.`);
  }
  if (recovery.unlisted.length > 0) {
    sentences.push(`These drivers could not list their volumes: ${recovery.unlisted.join(", ")}.`);
  }
  if (recovery.failed.length > 0) {
    sentences.push(
      `Their storage failed at the start, see the log: ${recovery.failed.join(", ")}.`,
    );
  }
  if (recovery.strays.length > 0) {
    sentences.push(`In the trash without a record, kept: ${recovery.strays.join(", ")}.`);
  }
  return sentences;
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

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"));
    return name?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
