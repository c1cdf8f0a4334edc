// The routes of the history as data: who changed what, read backwards or followed from a cursor.
import { historyActions } from "../../core/state-store.ts";
import {
  count,
  flag,
  instant,
  type RouteContract,
  type Schema,
  text,
  textOrNull,
} from "./route-contract.ts";

/** How many history rows one answer holds at most, and by default. */
export const HISTORY_ANSWER_COUNT_MAX = 1_000;

const changeFields = {
  /** Its place among all changes; a later one has a larger number behind the `c-`. */
  cursor: text,
  at: instant,
  action: { enum: historyActions },
  volume: text,
  driver: text,
  /** The process that asked, or Holdfast itself. */
  caller: { type: "object" },
  /** The program that asked, with its user where that says more. */
  by: text,
  /** What else it was about: a container, an old name, an id in the trash, a reason. */
  subject: text,
  /** "done", or the code of why not. */
  outcome: text,
  operation: text,
} as const;

export const change = {
  type: "object",
  required: ["cursor", "at", "action", "volume", "driver", "caller", "by", "outcome", "operation"],
  properties: changeFields,
} as const satisfies Schema;

export const historyRoutes = {
  history: {
    method: "GET",
    path: "history",
    summary: "Who changed what, the newest first.",
    query: {
      volume: { schema: text, about: "Only changes of this volume, under its older names too." },
      before: { schema: text, about: "Only older ones: the `next` of the last page." },
      count: count(HISTORY_ANSWER_COUNT_MAX),
    },
    reply: {
      type: "object",
      required: ["changes", "next"],
      properties: {
        changes: { type: "array", items: change },
        /** null: there is nothing older. */
        next: textOrNull,
      },
    },
  },
  events: {
    method: "GET",
    path: "events",
    summary:
      "Changes as they happen, one JSON object a line. Whoever was cut off goes on behind the " +
      "cursor of the last line.",
    query: {
      after: {
        schema: text,
        about: "A cursor: what came later is sent first. By default nothing.",
      },
      follow: { schema: flag, about: "false: end when nothing is left; true by default." },
    },
    reply: {
      type: "object",
      properties: {
        /** Alone in the first line: changes behind the cursor are not kept any more. */
        gap: { const: true },
        ...changeFields,
      },
    },
    isStream: true,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
