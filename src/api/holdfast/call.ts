// What a handler of an own route gets, and how it reads what was asked.
import { EngineError } from "../../core/errors.ts";
import type { StreamWriter } from "../../http/message.ts";
import type { RouteContext } from "../handler.ts";
import type { Body } from "./body.ts";

/** The segments of the path and the parameters of the query, decoded; the body, checked. */
export interface Call {
  readonly context: RouteContext;
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Body;
}

/** A reply as JSON, `undefined` for none, a `LineStream` or an `EventStream`. */
export type RouteHandler = (call: Call) => unknown;

/** An answer of lines that may go on for ever. */
export class LineStream {
  readonly start: (writer: StreamWriter) => void;
  constructor(start: (writer: StreamWriter) => void) {
    this.start = start;
  }
}

/** An answer of server-sent events (text/event-stream), which the handler words itself. */
export class EventStream {
  readonly start: (writer: StreamWriter) => void;
  constructor(start: (writer: StreamWriter) => void) {
    this.start = start;
  }
}

/** A parameter that is `true` or `false`. Throws `request.invalid`. */
export function parseFlag(name: string, query: URLSearchParams, otherwise = false): boolean {
  const text = query.get(name) ?? String(otherwise);
  if (text === "true" || text === "false") return text === "true";
  throw invalid(name, text, "true or false is needed");
}

/** The parameter `count`. Throws `request.invalid`. */
export function parseCount(query: URLSearchParams, countMax: number): number {
  const text = query.get("count");
  if (text === null) return countMax;
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= countMax) return count;
  throw invalid("count", text, `a whole number from 1 to ${countMax} is needed`);
}

/** A place in the history, `c-123`. Throws `request.invalid`. */
export function parseCursor(name: string, query: URLSearchParams): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const digits = /^c-(\d{1,15})$/.exec(text)?.[1];
  if (digits !== undefined) return Number(digits);
  throw invalid(name, text, "the cursor of a change is needed, as in c-123");
}

/** The way back: how a place in the history is written. */
export function cursorText(cursor: number): string {
  return `c-${cursor}`;
}

/**
 * What must not happen by mistake is asked for with the volume's name, once more. Throws
 * `confirmation.missing`.
 */
export function checkConfirmed(query: URLSearchParams, name: string, what: string): void {
  const given = query.get("confirm");
  if (given === name) return;
  const found = given === null ? "is missing" : `is ${JSON.stringify(given.slice(0, 100))}`;
  throw new EngineError(
    "confirmation.missing",
    `${what} wants its name again: confirm must be ${JSON.stringify(name)}, and ${found}`,
    { details: { field: "confirm", name } },
  );
}

/** A field, its value and the rule. */
export function invalid(field: string, value: unknown, rule: string): EngineError {
  const shown = (JSON.stringify(value) ?? "nothing").slice(0, 100);
  return new EngineError("request.invalid", `${field} ${shown}: ${rule}`, {
    details: { field, value },
  });
}
