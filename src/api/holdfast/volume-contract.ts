// The routes of volumes as data: looking, mounting, removing, protecting, renaming, changing.
import { sharingModes } from "../../engine/engine-options.ts";
import { storageStates, volumeStates } from "../volume-state.ts";
import { change } from "./history-contract.ts";
import {
  confirm,
  count,
  countOrNull,
  flag,
  instant,
  instantOrNull,
  line,
  type RouteContract,
  type Schema,
  text,
  textMap,
  textOrNull,
} from "./route-contract.ts";

/** How many volumes one page holds at most, and by default. */
export const VOLUMES_PAGE_COUNT_MAX = 1_000;

const holder = {
  type: "object",
  required: ["id", "state", "name", "project", "engine", "access", "since", "reason"],
  properties: {
    /** A container's id in full, or the holder's own. */
    id: text,
    /** "stopped": the container exists and has it; "stale": a hold that cannot be ended. */
    state: { enum: ["client", "running", "stopped", "starting", "stale"] },
    name: textOrNull,
    /** The Compose project. */
    project: textOrNull,
    engine: textOrNull,
    access: { enum: ["ro", "rw", null] },
    since: instantOrNull,
    /** Why it is stale, or which sharing mode it breaks. */
    reason: textOrNull,
  },
} as const satisfies Schema;

export const protection = {
  type: ["object", "null"],
  required: ["reason", "since", "by"],
  properties: { reason: text, since: instant, by: text },
} as const satisfies Schema;

const wholeNumber = { type: "integer", minimum: 0 } as const;

export const origin = { enum: ["made", "adopted"] } as const satisfies Schema;

const storage = {
  type: ["object", "null"],
  required: [
    ...["origin", "state", "since", "reason", "server", "tookMs", "unsaved", "space"],
    "mustRestart",
  ],
  properties: {
    /** The volume's. */
    origin,
    state: { enum: storageStates },
    /** null: since the start. */
    since: instantOrNull,
    reason: textOrNull,
    /** What fails together: a server, a bucket. */
    server: text,
    /** How long it took to answer the last time, in milliseconds; null: it did not. */
    tookMs: { type: ["number", "null"] },
    /** Written, and not on the storage yet; null: nothing, as far as is known. */
    unsaved: {
      type: ["object", "null"],
      required: ["files", "bytes"],
      properties: { files: wholeNumber, bytes: wholeNumber },
    },
    /** Of all that the storage has, as it says itself; null: it does not. */
    space: {
      type: ["object", "null"],
      required: ["sizeBytes", "availableBytes"],
      properties: { sizeBytes: wholeNumber, availableBytes: wholeNumber },
    },
    /** Containers, by id, that have a dead mount until they restart. */
    mustRestart: { type: "array", items: text },
  },
} as const satisfies Schema;

export const volume = {
  type: "object",
  required: ["name", "driver", "origin", "scope", "state", "createdAt", "mountpoint", "holders"],
  properties: {
    name: text,
    driver: text,
    /** "adopted": its data was there before it, and no removal and no purge destroys it. */
    origin,
    scope: { enum: ["local", "global"] },
    state: { enum: volumeStates },
    /** Since when; null where it does not matter, or is not known. */
    stateSince: instantOrNull,
    /** Why, in the plugin's words or about it; null: there is nothing to say. */
    stateReason: textOrNull,
    /** Of storage that may fall silent; null: it is on this machine, or a plugin's. */
    storage,
    createdAt: instant,
    /** null: never used. */
    firstUsedAt: instantOrNull,
    /** The end of the last use; now while it is in use; null: no use has ended. */
    lastUsedAt: instantOrNull,
    /** Whose use that was. */
    lastHolder: textOrNull,
    mountpoint: text,
    labels: textMap,
    options: textMap,
    sharing: { enum: sharingModes },
    note: textOrNull,
    /** Why it must not be removed; null: it may. */
    protection,
    /** Apparent bytes; null: not measured since its last use. */
    sizeBytes: countOrNull,
    /** Names that still mean it. */
    aliases: { type: "array", items: text },
    /** What becomes of it when it is removed, in words. */
    trash: text,
    holders: { type: "array", items: holder },
    /** What is wrong with where its data is, in sentences without their full stops. */
    warnings: { type: "array", items: text },
    /** The `report` of `volumes/{name}/doctor`; of a single volume only. */
    doctor: { type: ["object", "null"] },
    /** The last changes since it was created, the newest first; of a single volume only. */
    history: { type: "array", items: change },
  },
} as const satisfies Schema;

/** A reason, and nothing else; the trash's routes have it too. */
export const protectionBody = {
  type: "object",
  required: ["reason"],
  properties: { reason: line },
} as const satisfies Schema;

const names = { type: "array", items: text } as const;
const map = { type: "object", additionalProperties: text } as const;

export const volumeRoutes = {
  volumes: {
    method: "GET",
    path: "volumes",
    summary: "A page of the volumes with their states and holders, sorted by name.",
    query: {
      after: { schema: text, about: "Only names behind this one: the `next` of the last page." },
      count: count(VOLUMES_PAGE_COUNT_MAX),
    },
    reply: {
      type: "object",
      required: ["volumes", "next"],
      properties: {
        volumes: { type: "array", items: volume },
        /** null: this was the last page. */
        next: textOrNull,
      },
    },
  },
  volume: {
    method: "GET",
    path: "volumes/{name}",
    summary: "One volume with its state, its holders and its last changes.",
    query: {},
    reply: volume,
  },
  update: {
    method: "PATCH",
    path: "volumes/{name}",
    summary: "Changes labels, the note, the engine's options and, where it can, the driver's.",
    query: {},
    body: {
      type: "object",
      properties: {
        labelsSet: map,
        labelsRemoved: names,
        /** null takes it away. */
        note: { ...line, type: ["string", "null"] },
        optionsSet: map,
        optionsRemoved: names,
      },
    },
    reply: volume,
  },
  flush: {
    method: "POST",
    path: "volumes/{name}/flush",
    summary:
      "Waits until what was written before is on the storage. Lines say what is left; a failure " +
      "is the last one.",
    query: {},
    reply: {
      type: "object",
      properties: {
        files: wholeNumber,
        bytes: wholeNumber,
        /** How its storage was when it was last looked at. */
        state: { enum: storageStates },
        reason: textOrNull,
        error: text,
        code: text,
        recovery: text,
      },
    },
    isStream: true,
  },
  remove: {
    method: "DELETE",
    path: "volumes/{name}",
    summary: "Removes a volume that nobody uses; an alias of one: only the alias.",
    query: {
      purge: { schema: flag, about: "Not into the trash: its data is destroyed at once." },
      confirm: { schema: text, about: "With `purge` the volume's name, once more." },
      force: {
        schema: flag,
        about: "A plugin's volume: forgotten also when the plugin does not remove it.",
      },
    },
    reply: undefined,
  },
  rename: {
    method: "POST",
    path: "volumes/{name}/rename",
    summary: "Gives a volume that nobody uses another name.",
    query: {},
    body: {
      type: "object",
      required: ["to"],
      properties: {
        to: text,
        /** The old name goes on meaning it. */
        keepAlias: { type: "boolean" },
      },
    },
    reply: volume,
  },
  protect: {
    method: "PUT",
    path: "volumes/{name}/protection",
    summary: "Keeps a volume from being removed, renamed and purged, whoever asks.",
    query: {},
    body: protectionBody,
    reply: volume,
  },
  unprotect: {
    method: "DELETE",
    path: "volumes/{name}/protection",
    summary: "Lifts the protection of a volume.",
    query: { confirm },
    reply: volume,
  },
  removeAlias: {
    method: "DELETE",
    path: "aliases/{alias}",
    summary: "Ends a name that a volume had before it was renamed. The volume stays.",
    query: {},
    reply: undefined,
  },
  mount: {
    method: "PUT",
    path: "volumes/{name}/holders/{holder}",
    summary: "Makes the data reachable for a holder; repeating it changes nothing.",
    query: {},
    reply: { type: "object", required: ["path"], properties: { path: text } },
  },
  unmount: {
    method: "DELETE",
    path: "volumes/{name}/holders/{holder}",
    summary: "Ends a holder's mount; ending what is not there succeeds.",
    query: {},
    reply: undefined,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
