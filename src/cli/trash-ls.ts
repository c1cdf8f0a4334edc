// `holdfast trash ls`: what was removed, how big it is, by whom, and until when it stays.
import type { Invocation } from "./command.ts";
import { renderRows } from "./format.ts";
import { humanSize } from "./human.ts";
import { type GoStruct, rowStruct } from "./template/values.ts";
import { agoText, purgesText, readTrash, shortIds, type TrashEntry } from "./trash.ts";

const headers: Readonly<Record<string, string>> = {
  ID: "ID",
  Name: "NAME",
  Driver: "DRIVER",
  Size: "SIZE",
  Removed: "REMOVED",
  By: "BY",
  Purges: "PURGES",
  Reason: "REASON",
};

const standardFormat =
  "table {{.ID}}\\t{{.Name}}\\t{{.Size}}\\t{{.Removed}}\\t{{.By}}\\t{{.Purges}}";

function trashRow(entry: TrashEntry, id: string, nowMs: number): GoStruct {
  return rowStruct("*formatter.trashContext", {
    By: entry.removedBy === "" ? "-" : entry.removedBy,
    Driver: entry.driver,
    ID: id,
    Name: entry.name,
    Purges: purgesText(entry, nowMs),
    Reason: entry.protection?.reason ?? "",
    Removed: agoText(entry.removedAt, nowMs),
    Size: entry.sizeBytes === null ? "-" : humanSize(entry.sizeBytes),
  });
}

export async function listTrash({ options, client, terminal }: Invocation): Promise<number> {
  const entries = await readTrash(client);
  if (options.flag("json")) {
    await terminal.out(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
    return 0;
  }
  const short = shortIds(entries.map(({ id }) => id));
  const idOf = (id: string) => (options.flag("no-trunc") ? id : (short.get(id) ?? id));
  const given = options.text("format") ?? "";
  const usual = options.flag("quiet") ? "{{.ID}}" : standardFormat;
  const format = given === "" || given === "table" ? usual : given;
  const nowMs = terminal.nowMs();
  const rows = entries.map((entry) => trashRow(entry, idOf(entry.id), nowMs));
  await terminal.out(renderRows(rows, { format, headers }));
  return 0;
}
