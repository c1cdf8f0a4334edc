// `holdfast events`: one line per event, as they come or as they were.
import type { Invocation } from "./command.ts";
import { followChanges, isCursor } from "./event-cursors.ts";
import { CliFailure } from "./failure.ts";
import { execute, listWords, parseFormat } from "./format.ts";
import { toDaemonTime } from "./since.ts";
import { GoStruct, type GoValue, stringMap, toJson } from "./template/values.ts";
import { filterQuery } from "./volume.ts";

/** Docker's event message; `timeNano` is too large for a number. */
export interface EventMessage {
  readonly type: string;
  readonly action: string;
  readonly actor: { readonly id: string; readonly attributes: Readonly<Record<string, string>> };
  readonly scope: string;
  readonly timeSeconds: bigint;
  readonly timeNanoseconds: bigint;
}

const eventWords = {
  ...listWords,
  parsePrefix: "Error parsing format: ",
  parseExit: 64,
  executePrefix: "Error parsing format: ",
};

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Reads one line of the stream. */
export function parseEvent(line: string): EventMessage {
  let nanoseconds = 0n;
  // A parser: every field is checked on the way out. JSON.parse alone would round the nanoseconds.
  const message = JSON.parse(
    line.replace(/"timeNano":\s*(-?[0-9]+)/, (_, digits: string) => {
      nanoseconds = BigInt(digits);
      return `"timeNano":"${digits}"`;
    }),
  ) as Record<string, unknown>;
  const actor = (message["Actor"] ?? {}) as Record<string, unknown>;
  const attributes = (actor["Attributes"] ?? {}) as Record<string, string>;
  const seconds = message["time"];
  return {
    type: textOf(message["Type"]),
    action: textOf(message["Action"]),
    actor: { id: textOf(actor["ID"]), attributes },
    scope: textOf(message["scope"]),
    timeSeconds: typeof seconds === "number" ? BigInt(Math.trunc(seconds)) : 0n,
    timeNanoseconds: nanoseconds,
  };
}

const nanosecondsPerSecond = 1_000_000_000n;

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** RFC 3339 with nine digits, in the zone of this process. */
function formatTime(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n));
  const fraction = String(nanoseconds % nanosecondsPerSecond).padStart(9, "0");
  const zoneMinutes = -date.getTimezoneOffset();
  const zoneHours = twoDigits(Math.floor(Math.abs(zoneMinutes) / 60));
  const sign = zoneMinutes < 0 ? "-" : "+";
  const zone = `${sign}${zoneHours}:${twoDigits(Math.abs(zoneMinutes) % 60)}`;
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join("-");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(":");
  return `${day}T${time}.${fraction}${zoneMinutes === 0 ? "Z" : zone}`;
}

/** The line that `docker events` prints. */
export function renderEvent(event: EventMessage): string {
  const time =
    event.timeNanoseconds === 0n ? event.timeSeconds * nanosecondsPerSecond : event.timeNanoseconds;
  const pairs = Object.entries(event.actor.attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const attributes = pairs.length > 0 ? ` (${pairs.join(", ")})` : "";
  const start = time === 0n ? "" : `${formatTime(time)} `;
  return `${start}${event.type} ${event.action} ${event.actor.id}${attributes}`;
}

/** The message as `--format` sees it. */
export function eventStruct(event: EventMessage): GoStruct {
  const attributes = stringMap(event.actor.attributes);
  const actor: readonly (readonly [string, GoValue])[] = [
    ["ID", event.actor.id],
    ["Attributes", attributes],
  ];
  const fields: readonly (readonly [string, GoValue])[] = [
    ["Status", ""],
    ["ID", ""],
    ["From", ""],
    ["Type", event.type],
    ["Action", event.action],
    ["Actor", new GoStruct("events.Actor", new Map(actor))],
    ["Scope", event.scope],
    ["Time", event.timeSeconds],
    ["TimeNano", event.timeNanoseconds],
  ];
  return new GoStruct("*events.Message", new Map(fields), {
    json: () => eventJson(event, attributes),
  });
}

function eventJson(event: EventMessage, attributes: GoValue): string {
  const actor = `{"ID":${JSON.stringify(event.actor.id)},"Attributes":${toJson(attributes)}}`;
  const scope = event.scope === "" ? "" : `,"scope":${JSON.stringify(event.scope)}`;
  return (
    `{"Type":${JSON.stringify(event.type)},"Action":${JSON.stringify(event.action)},` +
    `"Actor":${actor}${scope},"time":${event.timeSeconds},"timeNano":${event.timeNanoseconds}}`
  );
}

function rendererOf(invocation: Invocation): (event: EventMessage) => string {
  const { options } = invocation;
  const format = options.flag("json") ? "json" : (options.text("format") ?? "");
  if (format === "") return renderEvent;
  const template = parseFormat(format === "json" ? "{{json .}}" : format, eventWords);
  return (event) => {
    try {
      return execute(template, eventStruct(event), eventWords);
    } catch (error) {
      // Docker ends with 64 here, too.
      if (error instanceof CliFailure) throw new CliFailure(error.message, eventWords.parseExit);
      throw error;
    }
  };
}

export async function followEvents(invocation: Invocation): Promise<number> {
  const { options, client, terminal } = invocation;
  if (options.flag("cursor") || isCursor(options.text("since"))) {
    return await followChanges(invocation);
  }
  const render = rendererOf(invocation);
  const nowMs = terminal.nowMs();
  const query: string[] = [];
  const filters = filterQuery(options.all("filter"));
  if (filters !== "") query.push(filters);
  for (const name of ["since", "until"]) {
    const value = options.text(name);
    if (value) query.push(`${name}=${encodeURIComponent(toDaemonTime(value, nowMs))}`);
  }
  const path = query.length > 0 ? `/events?${query.join("&")}` : "/events";
  await client.lines({ method: "GET", path }, async (line) => {
    await terminal.out(`${render(parseEvent(line))}\n`);
  });
  return 0;
}
