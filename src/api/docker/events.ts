// GET /events: history and live stream, one JSON object a line.
import { EngineError } from "../../core/errors.ts";
import type { Engine } from "../../engine/engine.ts";
import type { EngineEvent } from "../../engine/event-log.ts";
import { EVENT_FOLLOWER_COUNT_MAX } from "../../engine/event-log.ts";
import type { AnyResponse } from "../../http/message.ts";
import type { RouteContext } from "../handler.ts";
import { type DockerHeaders, goJson, mapJson } from "./answers.ts";
import { checkKeys, type Filters, labelCondition, parseFilters } from "./filters.ts";
import { first, parseQuery } from "./query.ts";

export interface EventRouteParts {
  readonly engine: Engine;
  readonly headers: DockerHeaders;
}

/** Kinds of actor that a filter may name; all but `volume`, `plugin` and `secret` match nothing. */
const actorKeys = [
  "config",
  "container",
  "daemon",
  "image",
  "network",
  "node",
  "plugin",
  "secret",
  "service",
  "volume",
] as const;
const eventKeys = new Set<string>([...actorKeys, "event", "label", "scope", "type"]);

/** Longest time-out of a timer, in milliseconds; an `until` beyond it never fires. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Streams what `since` asks of the ring, then what happens, until `until` or the client's end. */
export function followEvents(parts: EventRouteParts, context: RouteContext): AnyResponse {
  const query = parseQuery(context.request.query);
  const sinceMs = parseTime(first(query, "since"));
  const untilMs = parseTime(first(query, "until"));
  if (sinceMs !== undefined && untilMs !== undefined && sinceMs > untilMs) {
    throw new EngineError(
      "request.invalid",
      `\`since\` time (${first(query, "since")}) cannot be after \`until\` time ` +
        `(${first(query, "until")})`,
    );
  }
  const filters = parseFilters(first(query, "filters"));
  checkKeys(filters, eventKeys);
  const { events } = parts.engine;
  if (events.followerCount >= EVENT_FOLLOWER_COUNT_MAX) {
    throw new EngineError(
      "engine.overloaded",
      `too many event followers: at most ${EVENT_FOLLOWER_COUNT_MAX} may listen at once`,
    );
  }
  const remainingMs = untilMs === undefined ? undefined : untilMs - Date.now();
  const wantsHistory = sinceMs !== undefined || (remainingMs !== undefined && remainingMs <= 0);
  return {
    status: 200,
    headers: parts.headers.json,
    endless: true,
    stream(writer) {
      const send = (event: EngineEvent): void => {
        if (selectsEvent(filters, event)) writer.write(`${eventJson(event)}\n`);
      };
      if (wantsHistory) {
        const span = {
          ...(sinceMs === undefined ? {} : { sinceMs }),
          ...(untilMs === undefined ? {} : { untilMs }),
        };
        for (const event of events.history(span)) send(event);
      }
      if (remainingMs !== undefined && remainingMs <= 0) {
        writer.end();
        return;
      }
      const unfollow = events.follow(send);
      const timer =
        remainingMs === undefined || remainingMs > TIMER_MS_MAX
          ? undefined
          : setTimeout(() => {
              unfollow();
              writer.end();
            }, remainingMs);
      writer.closed.addEventListener("abort", () => {
        clearTimeout(timer);
        unfollow();
      });
    },
  };
}

/** The event in Docker's JSON (recorded in events-api143.jsonl). */
export function eventJson(event: EngineEvent): string {
  const { type, action, actor, attributes } = event;
  const head = `{"Type":${goJson(type)},"Action":${goJson(action)},"Actor":{"ID":${goJson(actor)},`;
  const tail = `"Attributes":${mapJson(attributes)}},"scope":"local"`;
  const nanoseconds = String(event.nanoseconds).padStart(9, "0");
  // Nanoseconds since the epoch do not fit a JavaScript number: they are written as text.
  return `${head}${tail},"time":${event.seconds},"timeNano":${event.seconds}${nanoseconds}}`;
}

function selectsEvent(filters: Filters, event: EngineEvent): boolean {
  if (filters.size === 0) return true;
  const has = (key: string, test: (value: string) => boolean): boolean => {
    const values = filters.get(key);
    return values === undefined || values.length === 0 || values.some(test);
  };
  const label = (text: string): boolean => {
    const { key, value } = labelCondition(text);
    if (!Object.hasOwn(event.attributes, key)) return false;
    return value === undefined || event.attributes[key] === value;
  };
  return (
    has("type", (value) => value === event.type) &&
    has("event", (value) => value === event.action) &&
    has("scope", (value) => value === "local") &&
    (filters.get("label") ?? []).every(label) &&
    actorKeys.every((key) => has(key, (value) => key === event.type && matchesActor(value, event)))
  );
}

/** moby's FuzzyMatch: the whole id or name, or how it begins. Of a plugin the actor is its id. */
function matchesActor(value: string, event: EngineEvent): boolean {
  return event.actor.startsWith(value) || event.attributes["name"]?.startsWith(value) === true;
}

/** Unix seconds with a fraction, or RFC 3339; undefined for none. Milliseconds since the epoch. */
function parseTime(text: string): number | undefined {
  if (text === "") return undefined;
  if (/^-?\d{1,12}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  const date = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date)) {
    throw new EngineError(
      "request.invalid",
      `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return date;
}
