// The route of a volume's conflicts as data: who wrote the same file at nearly the same time.
import {
  count,
  instant,
  instantOrNull,
  type RouteContract,
  text,
  textOrNull,
} from "./route-contract.ts";

/** How many conflicts one answer holds at most, and by default. */
export const CONFLICTS_ANSWER_COUNT_MAX = 1_000;

/** How many changes of all volumes are looked at for one answer: some 20 ms. */
export const CONFLICTS_SPAN_COUNT = 20_000;

const writer = {
  type: "object",
  required: ["container", "name", "program"],
  properties: {
    /** Its id; null: no engine lists that container any more. Another one may have its name. */
    container: textOrNull,
    name: text,
    /** As the kernel names it; null: it was gone when it was looked at. */
    program: textOrNull,
  },
} as const;

export const conflictRoutes = {
  conflicts: {
    method: "GET",
    path: "volumes/{name}/conflicts",
    summary:
      "Files that two containers wrote within two seconds, the newest first; whether that is " +
      "watched now, and what it does not see.",
    query: {
      since: { schema: text, about: "Only those from then on, in seconds since 1970." },
      count: count(CONFLICTS_ANSWER_COUNT_MAX),
    },
    reply: {
      type: "object",
      required: ["conflicts", "cut", "watching", "blind"],
      properties: {
        conflicts: {
          type: "array",
          items: {
            type: "object",
            required: ["at", "file", "writers", "what"],
            properties: {
              at: instant,
              /** From the volume's root, as `/index/segments_7`; `(gone)`: it was removed. */
              file: text,
              /** Two. */
              writers: { type: "array", items: writer },
              what: text,
            },
          },
        },
        /** Older conflicts than from then are not among them; null: these are all. */
        cut: instantOrNull,
        watching: {
          type: "object",
          required: ["state", "reason"],
          properties: {
            /** "partly": not the writes of all containers that have it read-write. */
            state: { enum: ["yes", "partly", "no"] },
            reason: textOrNull,
          },
        },
        /** What no conflict is found in. */
        blind: { type: "array", items: text },
      },
    },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
