// The routes of plugins as data: what Docker's have no word for.
import { pluginStates } from "../../core/plugin.ts";
import {
  count,
  instant,
  instantOrNull,
  type RouteContract,
  type Schema,
  text,
  textOrNull,
} from "./route-contract.ts";

/** How many lines of a plugin's log one answer holds at most, and by default. */
export const PLUGIN_LINES_COUNT_MAX = 10_000;

const plugin = {
  type: "object",
  required: [
    ...["name", "kind", "id", "state", "since", "reason", "restarts", "volumes"],
    ...["version", "reference", "digest", "previous", "address", "description", "installedAt"],
    "directory",
  ],
  properties: {
    /** A managed plugin's with its tag, a socket's without `.sock`. */
    name: text,
    /** "managed": installed and run by Holdfast; "socket": it runs by itself. */
    kind: { enum: ["managed", "socket"] },
    id: textOrNull,
    /** "ready": it answers, or it is no volume driver and is enabled. */
    state: { enum: pluginStates },
    since: instantOrNull,
    /** Why it does not answer. */
    reason: textOrNull,
    /** How often it was started again since it last ran for a while. */
    restarts: { type: "integer", minimum: 0 },
    /** How many volumes of it are known. */
    volumes: { type: "integer", minimum: 0 },
    /** The tag or the digest that it was installed by; null: of a socket, or made here. */
    version: textOrNull,
    /** The image that it was installed from. */
    reference: textOrNull,
    /** Of the image's manifest. */
    digest: textOrNull,
    /** The image before the last upgrade, until the new one has run. */
    previous: textOrNull,
    /** Where it listens now. */
    address: textOrNull,
    description: textOrNull,
    installedAt: instantOrNull,
    /** Where a managed one has its files. */
    directory: textOrNull,
  },
} as const satisfies Schema;

const privilege = {
  type: "object",
  required: ["name", "value"],
  properties: { name: text, description: text, value: { type: "array", items: text } },
} as const;

export const pluginRoutes = {
  plugins: {
    method: "GET",
    path: "plugins",
    summary: "All plugins, managed ones and those on sockets, sorted by name.",
    query: {},
    reply: {
      type: "object",
      required: ["plugins"],
      properties: { plugins: { type: "array", items: plugin } },
    },
  },
  plugin: {
    method: "GET",
    path: "plugins/{name}",
    summary: "One plugin, by its name, its id or the beginning of that.",
    query: {},
    reply: plugin,
  },
  pluginLog: {
    method: "GET",
    path: "plugins/{name}/logs",
    summary: "The last lines that a managed plugin wrote, oldest first.",
    query: { count: count(PLUGIN_LINES_COUNT_MAX) },
    reply: {
      type: "object",
      required: ["lines"],
      properties: {
        lines: {
          type: "array",
          items: {
            type: "object",
            required: ["at", "stream", "text"],
            properties: { at: instant, stream: { enum: ["stdout", "stderr"] }, text },
          },
        },
      },
    },
  },
  upgradePlugin: {
    method: "POST",
    path: "plugins/{name}/upgrade",
    summary:
      "Upgrades a managed plugin in place: stops it, and starts the new version, or the old one " +
      "where that fails. X-Registry-Auth logs in, as on Docker's routes. Lines are Docker's " +
      "progress; a failure is the last one.",
    query: {},
    body: {
      type: "object",
      required: ["granted"],
      properties: {
        /** The image; by default the one that it was installed from. */
        remote: text,
        /** Exactly what the new version asks for: Docker's `GET /plugins/privileges` has it. */
        granted: { type: "array", items: privilege },
      },
    },
    reply: {
      type: "object",
      properties: {
        status: text,
        id: text,
        progressDetail: { type: "object" },
        error: text,
        /** Of a failure, as in other answers. */
        code: text,
        recovery: text,
      },
    },
    isStream: true,
  },
} as const satisfies Readonly<Record<string, RouteContract>>;
