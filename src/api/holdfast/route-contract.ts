// The shape of one route of Holdfast's own, and the words its schemas are made of.
import { LINE_LENGTH_MAX } from "../../core/state-store.ts";

export const OWN_PREFIX = "/holdfast/v1/";

/** A JSON Schema, as OpenAPI 3.1 takes it. */
export type Schema = Readonly<Record<string, unknown>>;

export interface RouteContract {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** Below `OWN_PREFIX`; `{name}` is one segment. */
  readonly path: string;
  readonly summary: string;
  /** Query parameters by name; a request with any other is refused. */
  readonly query: Readonly<Record<string, QueryParameter>>;
  /** A JSON object, of what `body.ts` can check; undefined: a request with a body is refused. */
  readonly body?: Schema;
  /** What is sent in place of a JSON body, of any length, and read while it comes. */
  readonly upload?: "application/x-tar";
  /** undefined: 204 without a body. */
  readonly reply: Schema | undefined;
  /** One JSON object of `reply` a line, for as long as somebody listens. */
  readonly isStream?: true;
  /** Server-sent events, each with some fields of `reply`, for as long as somebody listens. */
  readonly isEventStream?: true;
}

export interface QueryParameter {
  readonly schema: Schema;
  readonly about: string;
}

export const text = { type: "string" } as const;
export const textOrNull = { type: ["string", "null"] } as const;
export const textMap = { type: ["object", "null"], additionalProperties: text } as const;
export const instant = { type: "string", format: "date-time" } as const;
export const instantOrNull = { type: ["string", "null"], format: "date-time" } as const;
export const countOrNull = { type: ["integer", "null"], minimum: 0 } as const;
export const flag = { enum: ["true", "false"] } as const;

/** One line for people. */
export const line = { type: "string", minLength: 1, maxLength: LINE_LENGTH_MAX } as const;

/** A name that is given once more, where nothing must happen by mistake. */
export const confirm = {
  schema: text,
  about: "The volume's name, once more; without it the request is refused.",
} as const;

/** How many things an answer holds at most, and by default. */
export function count(max: number): QueryParameter {
  return {
    schema: { type: "integer", minimum: 1, maximum: max },
    about: `At most so many; ${max} by default.`,
  };
}
