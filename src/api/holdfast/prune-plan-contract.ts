// The routes of prune plans as data: what would go and why, and then exactly that.
import {
  countOrNull,
  instant,
  instantOrNull,
  type RouteContract,
  type Schema,
  text,
  textOrNull,
} from "./route-contract.ts";

const named = {
  type: "object",
  required: ["name", "why"],
  properties: { name: text, why: text },
} as const satisfies Schema;

const texts = { type: "array", items: text } as const;

const plan = {
  type: "object",
  required: ["id", "madeAt", "expiresAt", "volumes", "kept"],
  properties: {
    id: text,
    madeAt: instant,
    /** Until then it can be applied. */
    expiresAt: instant,
    volumes: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "driver", "sizeBytes", "lastUsedAt", "lastHolder", "why", "fate"],
        properties: {
          name: text,
          driver: text,
          /** null: not measured. */
          sizeBytes: countOrNull,
          /** null: no use has ended. */
          lastUsedAt: instantOrNull,
          lastHolder: textOrNull,
          /** The Compose project. */
          project: textOrNull,
          /** Why it may go. */
          why: text,
          /** What becomes of it. */
          fate: text,
        },
      },
    },
    /** What the question is about, and stays all the same. */
    kept: { type: "array", items: named },
  },
} as const satisfies Schema;

export const prunePlanRoutes = {
  makePrunePlan: {
    method: "POST",
    path: "prune-plans",
    summary: "Finds out which volumes nobody uses, and removes none.",
    query: {},
    body: {
      type: "object",
      properties: {
        /** Named volumes too, not anonymous ones only. */
        all: { type: "boolean" },
        unusedForMs: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        largerBytes: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        drivers: texts,
        /** Compose projects. */
        projects: texts,
        /** All of these: `key` or `key=value`. */
        labels: texts,
        /** Not those that have all of these. */
        withoutLabels: texts,
        /** Sizes that are not known are found out. */
        measure: { type: "boolean" },
      },
    },
    reply: plan,
  },
  prunePlan: {
    method: "GET",
    path: "prune-plans/{id}",
    summary: "A plan that was made before.",
    query: {},
    reply: plan,
  },
  applyPrunePlan: {
    method: "POST",
    path: "prune-plans/{id}/apply",
    summary: "Removes what the plan names, and leaves what has changed since.",
    query: {},
    reply: {
      type: "object",
      required: ["removed", "skipped"],
      properties: {
        removed: {
          type: "array",
          items: {
            type: "object",
            required: ["name", "trashId", "sizeBytes"],
            properties: { name: text, trashId: textOrNull, sizeBytes: countOrNull },
          },
        },
        skipped: { type: "array", items: named },
      },
    },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
