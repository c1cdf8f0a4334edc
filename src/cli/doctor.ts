// `holdfast doctor`: the findings on this host, each with its fix, and what they add up to.
import type { DaemonPlaces, Finding, Severity } from "../core/doctor.ts";
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { examineVolume, refuseWithoutVolume } from "./doctor-volume.ts";
import { CliFailure } from "./failure.ts";
import { ownPath } from "./own-client.ts";
import { colours } from "./style.ts";
import type { Terminal } from "./terminal.ts";

/** Exit codes of STYLE.md, section 6; 1 says that there is a problem. */
const exits = { problem: 1, unsupported: 6 };

/** A daemon says it from memory; one that hangs is a finding of its socket. */
const PLACES_MS = 3_000;

const severityColumns = 9;

export async function examine(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal, parts } = invocation;
  if (positional.length > 0) return await examineVolume(invocation);
  refuseWithoutVolume(invocation);
  if (parts.doctor === undefined) {
    throw new CliFailure("this build of holdfast has no doctor", exits.unsupported);
  }
  const findings = await parts.doctor({
    apiSocket: client.target.socketPath,
    places: await placesOf(client),
  });
  const text = options.flag("json")
    ? findings.map((finding) => `${JSON.stringify(finding)}\n`).join("")
    : await renderFindings(findings, terminal);
  await terminal.out(text);
  return findings.some(({ severity }) => severity === "problem") ? exits.problem : 0;
}

/**
 * Where the daemon has what. undefined where none answers soon, or one of an earlier version: what
 * becomes of its socket is looked at with all else.
 */
async function placesOf(client: DaemonClient): Promise<DaemonPlaces | undefined> {
  const request = { method: "GET", path: ownPath(["places"]), silenceMs: PLACES_MS } as const;
  return await client.json<DaemonPlaces>(request).catch(() => undefined);
}

async function renderFindings(findings: readonly Finding[], terminal: Terminal): Promise<string> {
  const isTerminal = await terminal.isOutTerminal();
  const { bold, dim } = colours(terminal);
  const plain = (text: string): string => text;
  const mark = (severity: Severity): ((text: string) => string) => {
    if (!isTerminal) return plain;
    return severity === "ok" || severity === "note" ? dim : bold;
  };
  const width = Math.max(...findings.map(({ about }) => about.length)) + 2;
  const indent = " ".repeat(severityColumns + width);
  const lines = findings.map(({ severity, about, found, fix }) => {
    const head = `${severity.padEnd(severityColumns)}${about.padEnd(width)}${found}\n`;
    const way = fix === undefined ? "" : `${indent}fix: ${fix.replaceAll("\n", `\n${indent}`)}\n`;
    return mark(severity)(head.slice(0, -1)) + head.slice(-1) + way;
  });
  const count = (wanted: Severity): string => {
    const number = findings.filter(({ severity }) => severity === wanted).length;
    return `${number} ${wanted}${number === 1 ? "" : "s"}`;
  };
  return `${lines.join("")}\n${count("problem")}, ${count("warning")}\n`;
}
