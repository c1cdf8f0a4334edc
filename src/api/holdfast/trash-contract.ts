// The routes of the trash as data: what was removed, how it comes back, how it goes for good.
import {
  confirm,
  count,
  countOrNull,
  flag,
  instant,
  instantOrNull,
  type RouteContract,
  type Schema,
  text,
  textMap,
  textOrNull,
} from "./route-contract.ts";
import { origin, protection, protectionBody, volume } from "./volume-contract.ts";

/** How many entries of the trash one page holds at most, and by default. */
export const TRASH_PAGE_COUNT_MAX = 1_000;

const entry = {
  type: "object",
  required: [
    ...["id", "name", "driver", "origin", "phase", "sizeBytes", "removedAt", "removedBy"],
    ...["purgesAt", "aliases"],
  ],
  properties: {
    id: text,
    /** The volume's, when it was removed. */
    name: text,
    driver: text,
    /** "adopted": its data was there before the volume, and no purge destroys it. */
    origin,
    /** "purging": its destruction has begun, and it cannot be restored. */
    phase: { enum: ["kept", "purging"] },
    /** Why its destruction waits, as the last attempt said; null: none has failed. */
    waitingFor: textOrNull,
    /** Apparent bytes; null: not measured. */
    sizeBytes: countOrNull,
    removedAt: instant,
    /** The program that removed it. */
    removedBy: text,
    /** When it may be purged; null: never by itself, or its purging has begun. */
    purgesAt: instantOrNull,
    protection,
    labels: textMap,
    options: textMap,
    note: textOrNull,
    createdAt: instant,
    /** What meant the volume too, and does again when it is restored, where it is free then. */
    aliases: { type: "array", items: text },
    /** Its name had been made up. */
    wasAnonymous: { type: "boolean" },
  },
} as const satisfies Schema;

export const trashRoutes = {
  trash: {
    method: "GET",
    path: "trash",
    summary: "A page of what was removed and is still there, the newest first.",
    query: {
      name: { schema: text, about: "Only what had this name." },
      after: { schema: text, about: "Only older ones: the `next` of the last page." },
      count: count(TRASH_PAGE_COUNT_MAX),
    },
    reply: {
      type: "object",
      required: ["entries", "next", "totals"],
      properties: {
        entries: { type: "array", items: entry },
        /** null: this was the last page. */
        next: textOrNull,
        /** Of the whole trash. */
        totals: {
          type: "object",
          required: ["entries", "purging", "knownBytes", "unmeasured", "budgetBytes"],
          properties: {
            entries: { type: "integer" },
            purging: { type: "integer" },
            knownBytes: { type: "integer" },
            /** How many of the entries have not been measured yet. */
            unmeasured: { type: "integer" },
            /** null: no limit is known. */
            budgetBytes: countOrNull,
          },
        },
      },
    },
  },
  trashEntry: {
    method: "GET",
    path: "trash/{ref}",
    summary: "One entry, by its id, the beginning of one, or the volume's name.",
    query: {},
    reply: entry,
  },
  restore: {
    method: "POST",
    path: "trash/{ref}/restore",
    summary: "Brings a removed volume back, with its data, labels and options.",
    query: {},
    body: {
      type: "object",
      properties: {
        /** The name it gets; by default the one it had. */
        as: text,
      },
    },
    reply: volume,
  },
  purge: {
    method: "DELETE",
    path: "trash/{ref}",
    summary: "Gives an entry up for good; its data is destroyed in the background.",
    query: {
      confirm,
      wait: { schema: flag, about: "Answer when it is destroyed, or with why it is not." },
    },
    reply: undefined,
  },
  protectTrash: {
    method: "PUT",
    path: "trash/{ref}/protection",
    summary: "Keeps an entry of the trash from being purged, also where space is wanted.",
    query: {},
    body: protectionBody,
    reply: entry,
  },
  unprotectTrash: {
    method: "DELETE",
    path: "trash/{ref}/protection",
    summary: "Lifts the protection of an entry of the trash.",
    query: { confirm },
    reply: entry,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
