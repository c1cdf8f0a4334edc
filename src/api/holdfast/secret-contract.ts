// The routes of secrets as data: which there are, who uses them, new values. No value comes out.
import { SECRET_BYTES_MAX } from "../../core/secret-store.ts";
import { instant, type RouteContract, type Schema, text, textOrNull } from "./route-contract.ts";

/** Longest value as base64 has it. */
const VALUE_CHARACTERS_MAX = Math.ceil(SECRET_BYTES_MAX / 3) * 4;

const names = { type: "array", items: text } as const;

const properties = {
  name: text,
  createdAt: instant,
  /** Of the value that it has now. */
  updatedAt: instant,
  /** Why its value could not be read when that was last tried; null: nothing is wrong. */
  problem: textOrNull,
  /** The volumes that log in with it. */
  volumes: names,
  /** What lies in the trash and did. */
  trash: names,
} as const;

const required = ["name", "createdAt", "updatedAt", "problem", "volumes", "trash"] as const;

const secret = { type: "object", required, properties } as const satisfies Schema;

export const secretRoutes = {
  secrets: {
    method: "GET",
    path: "secrets",
    summary: "All secrets, sorted by name, with the volumes that use them; never a value.",
    query: {},
    reply: {
      type: "object",
      required: ["secrets"],
      properties: { secrets: { type: "array", items: secret } },
    },
  },
  secret: {
    method: "GET",
    path: "secrets/{name}",
    summary: "What is known of a secret, but for its value.",
    query: {},
    reply: secret,
  },
  putSecret: {
    method: "PUT",
    path: "secrets/{name}",
    summary:
      "Keeps a secret of 1 to 65536 bytes. A new value is given to the volumes that use it: " +
      "`refreshed` says which have it, and it stays, also where one cannot take it.",
    query: {},
    body: {
      type: "object",
      required: ["value"],
      properties: {
        /** In base64: a value need not be text. No refusal repeats it. */
        value: { type: "string", maxLength: VALUE_CHARACTERS_MAX, writeOnly: true },
        /** Take the place of the value that there is; by default that is refused. */
        replace: { type: "boolean" },
      },
    },
    reply: {
      type: "object",
      required: [...required, "replaced", "refreshed", "unreadable"],
      properties: {
        ...properties,
        replaced: { type: "boolean" },
        refreshed: {
          type: "array",
          items: {
            type: "object",
            required: ["volume", "outcome", "reason"],
            properties: {
              volume: text,
              /** "next mount": what is mounted has the old one. "failed": it was not taken. */
              outcome: { enum: ["updated", "next mount", "failed"] },
              reason: textOrNull,
            },
          },
        },
        /** Other secrets that cannot be read: the key that they were sealed with is not there. */
        unreadable: names,
      },
    },
  },
  removeSecret: {
    method: "DELETE",
    path: "secrets/{name}",
    summary: "Removes a secret that no volume uses, and answers what it was.",
    query: {},
    reply: secret,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
