// `holdfast events --cursor` and `--since c-123`: changes with cursors to go on from.
import type { Invocation } from "./command.ts";
import { DaemonUnreachable } from "./failure.ts";
import { renderRows } from "./format.ts";
import type { Options } from "./options.ts";
import { asOwn, badWords, ownPath } from "./own-client.ts";
import { toDaemonTime } from "./since.ts";
import { rowStruct } from "./template/values.ts";
import { parseFilters } from "./volume.ts";
import { type Change, oneLine } from "./volume-history.ts";

interface Gap {
  readonly gap: true;
}

const cursorPattern = /^c-[0-9]{1,15}$/;

/** Whether `--since` names a change, and no time. */
export function isCursor(since: string | undefined): boolean {
  return since !== undefined && cursorPattern.test(since);
}

/**
 * Prints each change behind the cursor, and each new one. Whoever read too slowly and was cut off
 * goes on behind what he got.
 */
export async function followChanges(invocation: Invocation): Promise<number> {
  const { options, client, terminal } = invocation;
  const follow = !endsNow(options, terminal.nowMs());
  const selects = selectorOf(options);
  const render = rendererOf(options);
  let after = sinceOf(options);
  for (;;) {
    const before = after;
    const query = { ...(after === undefined ? {} : { after }), follow: String(follow) };
    const path = ownPath(["events"], query);
    const onLine = async (line: string): Promise<void> => {
      // The daemon is trusted to keep the shape of its API.
      const change = JSON.parse(line) as Change | Gap;
      if ("gap" in change) {
        await terminal.err(`warning: not all changes behind ${after} are kept any more\n`);
        return;
      }
      after = change.cursor;
      if (selects(change)) await terminal.out(render(change, line));
    };
    try {
      await client.lines({ method: "GET", path }, onLine);
      if (!follow || after === before) return 0;
    } catch (error) {
      if (!(error instanceof DaemonUnreachable) || after === before) throw asOwn(error);
    }
  }
}

function sinceOf(options: Options): string | undefined {
  const since = options.text("since");
  if (since === undefined || since === "" || isCursor(since)) return since || undefined;
  throw badWords(`--since ${since}: with --cursor the cursor of a change is needed, as in c-123`);
}

function endsNow(options: Options, nowMs: number): boolean {
  const until = options.text("until");
  if (until === undefined || until === "") return false;
  if (Number(toDaemonTime(until, nowMs)) * 1000 <= nowMs) return true;
  throw badWords(`--until ${until}: with a cursor only now can be the end, as in 0m`);
}

function selectorOf(options: Options): (change: Change) => boolean {
  const filters = parseFilters(options.all("filter"));
  const odd = [...filters.keys()].find((key) => key !== "event" && key !== "volume");
  if (odd !== undefined) {
    throw badWords(`invalid filter '${odd}': changes are chosen by event and by volume`);
  }
  const events = filters.get("event");
  const volumes = filters.get("volume");
  return ({ action, volume }) =>
    (events === undefined || events.has(action)) && (volumes === undefined || volumes.has(volume));
}

function rendererOf(options: Options): (change: Change, line: string) => string {
  const format = options.flag("json") ? "json" : (options.text("format") ?? "");
  if (format === "json") return (_, line) => `${line}\n`;
  if (format === "") return renderChange;
  return (change) => {
    const { cursor, at, action, volume, by, subject, outcome } = change;
    const row = rowStruct("*formatter.changeContext", {
      ...{ Action: action, By: by, Cursor: cursor, Outcome: outcome },
      ...{ Subject: subject, Time: at, Volume: volume },
    });
    return renderRows([row], { format, headers: {} });
  };
}

function renderChange({ cursor, at, action, volume, by, subject, outcome }: Change): string {
  const who = by === "" ? "" : ` by ${by}`;
  const about = subject === "" ? "" : ` (${oneLine(subject)})`;
  const end = outcome === "done" ? "" : `: ${outcome}`;
  return `${cursor} ${at} ${action} ${volume}${who}${about}${end}\n`;
}
