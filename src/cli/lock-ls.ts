// `holdfast lock ls`: which locks are held, by whom, since when and until when.
import type { Invocation } from "./command.ts";
import { renderRows } from "./format.ts";
import { placeText } from "./lock-place.ts";
import { expiresText, ownerText, readLocks, type SeenLock, sinceText } from "./lock-view.ts";
import { type GoStruct, rowStruct } from "./template/values.ts";

const headers: Readonly<Record<string, string>> = {
  Volume: "VOLUME",
  Lock: "LOCK",
  Mode: "MODE",
  Holder: "HOLDER",
  Fence: "FENCE",
  Since: "SINCE",
  Expires: "EXPIRES",
  Waiting: "WAITING",
};

const standardFormat = `table ${Object.keys(headers)
  .map((name) => `{{.${name}}}`)
  .join("\\t")}`;

function lockRow(lock: SeenLock, nowMs: number): GoStruct {
  return rowStruct("*formatter.lockContext", {
    Expires: expiresText(lock, nowMs),
    Fence: lock.fence,
    Holder: ownerText(lock.holder),
    Lock: lock.lock,
    Mode: lock.mode,
    Since: sinceText(lock, nowMs),
    Volume: lock.volume,
    Waiting: lock.waiting === 0 ? "-" : String(lock.waiting),
  });
}

export async function listLocks({ options, client, terminal }: Invocation): Promise<number> {
  const found = await readLocks(client, options.text("volume"));
  const locks = found.toSorted((a, b) => (placeText(a) < placeText(b) ? -1 : 1));
  if (options.flag("json")) {
    await terminal.out(locks.map((lock) => `${JSON.stringify(lock)}\n`).join(""));
    return 0;
  }
  if (options.flag("quiet") && !options.isGiven("format")) {
    const names = new Set(locks.map(placeText));
    await terminal.out([...names].map((name) => `${name}\n`).join(""));
    return 0;
  }
  const given = options.text("format") ?? "";
  const format = given === "" || given === "table" ? standardFormat : given;
  const nowMs = terminal.nowMs();
  const rows = locks.map((lock) => lockRow(lock, nowMs));
  await terminal.out(renderRows(rows, { format, headers }));
  return 0;
}
