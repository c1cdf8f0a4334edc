// The routes of publishing as data: a tree that takes the place of another, and the way back.
import { PUBLISH_KEEP_COUNT_MAX } from "../../core/publishing.ts";
import { flag, type RouteContract, type Schema, text } from "./route-contract.ts";

const wholeNumber = { type: "integer", minimum: 0 } as const;

const path = {
  schema: text,
  about: "Within the volume, and not the volume itself: /www. The directory above it must exist.",
} as const;

const allowGap = {
  schema: flag,
  about: "Readers may find nothing for a moment, where the storage can do no better.",
} as const;

/** How many are kept where nothing is said. */
export const PUBLISH_KEEP_COUNT = 1;

const published = {
  type: "object",
  required: [
    ...["volume", "path", "method", "fileSystem", "guarantee", "tookMs", "kept", "removed", "tree"],
  ],
  properties: {
    volume: text,
    path: text,
    /**
     * "exchange": of two directories, in one step. "create": nothing was there. "link": a symbolic
     * link was moved, in one step. "convert" and "gap": readers found nothing for a moment.
     */
    method: { enum: ["exchange", "create", "link", "convert", "gap"] },
    /** As the mount table names it. */
    fileSystem: text,
    /** What readers can rely on: a sentence without its full stop. */
    guarantee: text,
    tookMs: { type: "number" },
    /** How many trees that were replaced are there for a roll-back. */
    kept: wholeNumber,
    /** How many older ones were removed. */
    removed: wholeNumber,
    /** null: it was rolled back. */
    tree: {
      type: ["object", "null"],
      required: ["files", "directories", "links", "bytes", "leftOut"],
      properties: {
        files: wholeNumber,
        directories: wholeNumber,
        links: wholeNumber,
        bytes: wholeNumber,
        /** What the storage did not take of the files. */
        leftOut: { type: "array", items: { enum: ["attributes", "modes", "owners", "times"] } },
      },
    },
  },
} as const satisfies Schema;

export const publishRoutes = {
  publish: {
    method: "PUT",
    path: "volumes/{name}/publish",
    summary:
      "Unpacks a tar (plain, not compressed) beside what is at the path, and exchanges the two. " +
      "A body that ends in the middle changes nothing.",
    query: {
      path,
      keep: {
        schema: { type: "integer", minimum: 0, maximum: PUBLISH_KEEP_COUNT_MAX },
        about: `How many replaced trees are kept; ${PUBLISH_KEEP_COUNT} by default.`,
      },
      owner: {
        schema: text,
        about:
          "UID or UID:GID of all that is unpacked. By default root's archives keep their owners, " +
          "and others' files are their own.",
      },
      allowGap,
    },
    upload: "application/x-tar",
    reply: published,
  },
  rollBack: {
    method: "POST",
    path: "volumes/{name}/publish/rollback",
    summary: "Puts the tree that was replaced last back; a second roll-back undoes the first.",
    query: { path, allowGap },
    reply: published,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
