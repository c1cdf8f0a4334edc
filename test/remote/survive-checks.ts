// What must be true after every trouble: nothing is lost on the server, nothing is left on this
// host, and nothing lies where a mount belongs.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { isErrno } from "../../src/core/errors.ts";
import { eventually } from "../support/child.ts";
import { commandLinesWith, readQuietly } from "../support/command-lines.ts";
import { planted, type SurviveStage } from "./survive-stage.ts";

/** How long what a crash has left may take to be cleaned up, or to end by itself. */
const settleMs = 20_000;
/** A probe whose test has died lies beside the data until somebody removes it. */
const PROBE = /^\.holdfast-probe-[0-9a-f]+$/;

/** Volumes that somebody has, by name. */
export type Held = readonly string[];

/** Waits until all is as it must be; throws what is not. */
export async function mustSettle(stage: SurviveStage, held: Held): Promise<void> {
  let wrong: readonly string[] = [];
  await eventually(
    () => {
      wrong = complaints(stage, held);
      return wrong.length === 0 ? true : undefined;
    },
    { timeoutMs: settleMs, otherwise: () => wrong.join("\n") },
  );
}

function complaints(stage: SurviveStage, held: Held): readonly string[] {
  return [
    ...lostOnServer(stage),
    ...leftMounts(stage, held),
    ...leftProcesses(stage, held),
    ...leftFiles(stage, held),
    ...bareWrites(stage),
  ];
}

/** Each planted file that is not as it was. */
function lostOnServer({ server }: SurviveStage): readonly string[] {
  return Object.entries(planted).flatMap(([name, content]) => {
    const file = join(server.served, name);
    if (!existsSync(file)) return [`${name} is gone on the server`];
    return readFileSync(file).equals(Buffer.from(content)) ? [] : [`${name} was changed`];
  });
}

/** What lies on the server beside what was planted, probes of dead tests aside; top level only. */
export function addedOnServer({ server }: SurviveStage): readonly string[] {
  const known = new Set(Object.keys(planted).map((name) => name.split("/")[0] ?? ""));
  return readdirSync(server.served)
    .filter((name) => !known.has(name) && !PROBE.test(name))
    .sort();
}

function leftMounts({ mounted, root, server }: SurviveStage, held: Held): readonly string[] {
  const wanted = held.map((name) => join(root, "remote", server.driver, name, "data")).sort();
  const found = mounted()
    .filter((target) => target.startsWith(`${root}/`))
    .toSorted();
  return isDeepStrictEqual(found, wanted) ? [] : [`mounted: ${found.join() || "nothing"}`];
}

/** One per held volume, and zombies are none; helpers that ask end soon. */
function leftProcesses(stage: SurviveStage, held: Held): readonly string[] {
  const daemon = stage.daemon().pid;
  const others = commandLinesWith(`${stage.root}/`).filter(({ pid }) => pid !== daemon);
  const commands = others.map(({ words }) => words.join(" "));
  const zombies = childrenOf(daemon).filter((pid) => stateOf(pid) === "Z");
  return [
    ...(commands.length === held.length ? [] : [`processes: ${commands.join("; ") || "none"}`]),
    ...(zombies.length === 0 ? [] : [`zombies: ${zombies.join()}`]),
  ];
}

function childrenOf(pid: number): readonly number[] {
  return readQuietly(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

/** The letter of a process's or its thread's state: D, R, S, Z; "": it is gone. */
export function stateOf(pid: number, thread = pid): string {
  const stat = readQuietly(`/proc/${pid}/task/${thread}/stat`);
  return /^\d+ \(.*\) (.)/s.exec(stat)?.[1] ?? "";
}

function leftFiles({ root, run, server }: SurviveStage, held: Held): readonly string[] {
  const isLeft = (name: string) => !held.includes(name);
  const notes = listed(join(run, "remote", server.driver)).filter(isLeft);
  const made = listed(join(root, "remote", server.driver)).filter((name) =>
    name.startsWith(".new-"),
  );
  return [...notes.map((name) => `${name} is left in the run directory`), ...made];
}

/** Nothing of what is no directory, or is purged at this moment. */
function listed(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ENOTDIR")) return [];
    throw thrown;
  }
}

/** Where nothing is mounted, nothing lies in a mount point. */
export function bareWrites({ root, server, mounted }: SurviveStage): readonly string[] {
  const folder = join(root, "remote", server.driver);
  const places = [folder, join(folder, ".trash")].flatMap((parent) =>
    listed(parent).map((name) => join(parent, name, "data")),
  );
  const targets = new Set(mounted());
  return places
    .filter((place) => !targets.has(place))
    .flatMap((place) => listed(place).map((name) => `${place}/${name} in a bare directory`));
}
