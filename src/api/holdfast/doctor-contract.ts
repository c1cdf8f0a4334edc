// The routes of a volume's doctor as data: measuring its storage, and the last report.
import { abilities } from "../../core/volume-report.ts";
import { flag, instant, type RouteContract, type Schema, text } from "./route-contract.ts";

const answer = { enum: ["yes", "no", "unknown"] } as const;
const ability = { enum: abilities } as const;
const milliseconds = { type: "number", minimum: 0 } as const;

const measurement = {
  type: "object",
  required: ["ability", "answer", "value", "figure", "detail", "tookMs"],
  properties: {
    ability,
    answer,
    /** In a few words, for a table. */
    value: text,
    /** Where it is a number that rules compare. */
    figure: { type: ["number", "null"] },
    /** More of it in a sentence; "" for nothing. */
    detail: text,
    tookMs: milliseconds,
  },
} as const satisfies Schema;

const fitness = {
  type: "object",
  required: ["use", "title", "verdict", "reasons"],
  properties: {
    /** A word for options: `postgresql`. */
    use: text,
    title: text,
    /** "care": it works, and something is to be known first. */
    verdict: { enum: ["fit", "care", "unfit", "unknown"] },
    /** Why it is not better, the worst first. */
    reasons: {
      type: "array",
      items: {
        type: "object",
        required: ["ability", "answer", "because", "change"],
        properties: { ability, answer, because: text, change: text },
      },
    },
  },
} as const satisfies Schema;

const volumeReport = {
  type: ["object", "null"],
  required: ["volume", "at", "tookMs", "quick", "storage", "fitness", "measurements"],
  properties: {
    volume: text,
    at: instant,
    tookMs: milliseconds,
    quick: { type: "boolean" },
    storage: {
      type: "object",
      required: ["fileSystem", "source", "options"],
      properties: {
        fileSystem: text,
        source: text,
        options: { type: "array", items: text },
      },
    },
    /** Whether a second client was there to look from. */
    secondMount: { type: "boolean" },
    /** Why it ended early; "" when it did not. */
    ended: text,
    /** What should be changed because of what is in the volume, in sentences. */
    advice: { type: "array", items: text },
    fitness: { type: "array", items: fitness },
    measurements: { type: "array", items: measurement },
  },
} as const satisfies Schema;

export const doctorRoutes = {
  examine: {
    method: "POST",
    path: "volumes/{name}/doctor",
    summary:
      "Measures what a volume's storage does: a line for each measurement, then the report, or " +
      "why there is none.",
    query: { quick: { schema: flag, about: "Fewer repetitions: some seconds at most." } },
    reply: {
      type: "object",
      properties: {
        measurement,
        report: volumeReport,
        error: text,
        code: text,
        recovery: text,
      },
    },
    isStream: true,
  },
  report: {
    method: "GET",
    path: "volumes/{name}/doctor",
    summary: "The last report since the daemon's start; null: none was made.",
    query: {},
    reply: {
      type: "object",
      required: ["report"],
      properties: { report: volumeReport },
    },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
