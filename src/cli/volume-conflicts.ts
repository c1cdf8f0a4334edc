// `holdfast volume conflicts`: files that two containers wrote at nearly the same time.
import type { Invocation } from "./command.ts";
import { renderRows } from "./format.ts";
import { ask, ownPath } from "./own-client.ts";
import { toDaemonTime } from "./since.ts";
import { oneLine } from "./table.ts";
import { type GoStruct, rowStruct } from "./template/values.ts";

/** The contract's conflict (src/api/holdfast/conflict-contract.ts). */
interface Conflict {
  readonly at: string;
  readonly file: string;
  readonly writers: readonly { readonly name: string; readonly program: string | null }[];
  readonly what: string;
}

interface Answer {
  readonly conflicts: readonly Conflict[];
  /** Older ones are not among them; null: these are all. */
  readonly cut: string | null;
  readonly watching: { readonly state: "yes" | "partly" | "no"; readonly reason: string | null };
  readonly blind: readonly string[];
}

const headers: Readonly<Record<string, string>> = {
  Time: "TIME",
  File: "FILE",
  Writers: "WRITERS",
  What: "WHAT",
};

const standardFormat = "table {{.Time}}\\t{{.File}}\\t{{.Writers}}\\t{{.What}}";

export async function showConflicts(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  const since = options.text("since") ?? "";
  const query = since === "" ? {} : { since: toDaemonTime(since, terminal.nowMs()) };
  const path = ownPath(["volumes", name, "conflicts"], query);
  const answer = await ask<Answer>(client, { method: "GET", path });
  if (options.flag("json")) {
    await terminal.out(`${JSON.stringify(answer)}\n`);
    return 0;
  }
  const given = options.text("format") ?? "";
  const isTable = given === "" || given === "table";
  const rows = answer.conflicts.map(conflictRow);
  await terminal.out(renderRows(rows, { format: isTable ? standardFormat : given, headers }));
  if (isTable) await terminal.out(`\n${cutText(answer, name)}${watchingText(answer)}`);
  return 0;
}

function conflictRow({ at, file, writers, what }: Conflict): GoStruct {
  return rowStruct("*formatter.conflictContext", {
    File: oneLine(file),
    Time: `${at.slice(0, 19)}Z`,
    What: oneLine(what),
    Writers: writers.map(writerText).join(", "),
  });
}

function writerText({ name, program }: Conflict["writers"][number]): string {
  return oneLine(program === null ? name : `${name} (${program})`);
}

function cutText({ cut }: Answer, name: string): string {
  if (cut === null) return "";
  const from = `${cut.slice(0, 19)}Z`;
  const way = `see \`holdfast volume history ${name}\``;
  return `Older ones than from ${from} were not looked for: ${way}.\n`;
}

/** Whoever reads an empty table has to know what it says nothing of. */
function watchingText({ watching: { state, reason }, blind }: Answer): string {
  const why = reason === null ? "" : ` (${oneLine(reason)})`;
  const seen = { yes: "Watched now", partly: "Watched in part", no: "Not watched now" }[state];
  const spots = blind.map((spot) => `  ${oneLine(spot)}\n`).join("");
  return `${seen}${why}. Never seen are:\n${spots}`;
}
