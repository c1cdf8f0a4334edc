// Holdfast's own routes as data: handlers, OpenAPI and the reference come from this table.
import { historyActions } from "../../core/state-store.ts";
import { sharingModes } from "../../engine/engine-options.ts";
import { volumeStates } from "../volume-state.ts";

export const OWN_PREFIX = "/holdfast/v1/";

/** A JSON Schema, as OpenAPI 3.1 takes it. */
export type Schema = Readonly<Record<string, unknown>>;

export interface RouteContract {
  readonly method: "GET" | "PUT" | "DELETE";
  /** Below `OWN_PREFIX`; `{name}` is one segment. */
  readonly path: string;
  readonly summary: string;
  /** Query parameters by name; a request with any other is refused. */
  readonly query: Readonly<Record<string, { readonly schema: Schema; readonly about: string }>>;
  /** undefined: 204 without a body. */
  readonly reply: Schema | undefined;
}

const text = { type: "string" } as const;
const textOrNull = { type: ["string", "null"] } as const;
const textMap = { type: ["object", "null"], additionalProperties: text } as const;
const instant = { type: "string", format: "date-time" } as const;

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
    since: { type: ["string", "null"], format: "date-time" },
    /** Why it is stale, or which sharing mode it breaks. */
    reason: textOrNull,
  },
} as const satisfies Schema;

const volume = {
  type: "object",
  required: ["name", "driver", "scope", "state", "createdAt", "mountpoint", "holders"],
  properties: {
    name: text,
    driver: text,
    scope: { enum: ["local", "global"] },
    state: { enum: volumeStates },
    createdAt: instant,
    /** null: never used. */
    firstUsedAt: { type: ["string", "null"], format: "date-time" },
    /** The last mount or unmount; now while it is in use; null: never used, or too long ago. */
    lastUsedAt: { type: ["string", "null"], format: "date-time" },
    mountpoint: text,
    labels: textMap,
    options: textMap,
    sharing: { enum: sharingModes },
    holders: { type: "array", items: holder },
  },
} as const satisfies Schema;

const change = {
  type: "object",
  required: ["at", "action", "volume", "driver", "caller", "operation"],
  properties: {
    at: instant,
    action: { enum: historyActions },
    volume: text,
    driver: text,
    /** The process that asked, or Holdfast itself. */
    caller: { type: "object" },
    operation: text,
  },
} as const satisfies Schema;

/** Which engine's volumes are adopted where a request does not say it. */
export const ADOPTION_ENGINE_DEFAULT = "docker:/run/docker.sock";

const adoptionQuery = {
  engine: {
    schema: text,
    about: `The Docker Engine by its key; ${ADOPTION_ENGINE_DEFAULT} by default.`,
  },
} as const;

const adoptionPlan = {
  type: "object",
  required: ["volumes"],
  properties: {
    volumes: {
      type: "array",
      items: {
        type: "object",
        required: ["name", "mountpoint", "labels", "options", "usedBy", "action", "reason"],
        properties: {
          name: text,
          mountpoint: text,
          labels: textMap,
          options: textMap,
          /** Containers, with their Compose project and state. */
          usedBy: { type: "array", items: text },
          /** "none": it cannot be adopted now. */
          action: { enum: ["adopt", "none"] },
          /** Why not, and the code of that. */
          reason: textOrNull,
          code: textOrNull,
        },
      },
    },
  },
} as const satisfies Schema;

/** How many history rows one answer holds at most, and by default. */
export const HISTORY_ANSWER_COUNT_MAX = 1_000;
/** How many volumes one page holds at most, and by default. */
export const VOLUMES_PAGE_COUNT_MAX = 1_000;

export const contract = {
  health: {
    method: "GET",
    path: "health",
    summary: "Whether the engine serves, and what the last start found.",
    query: {},
    reply: {
      type: "object",
      required: ["status", "volumes", "warnings"],
      properties: {
        status: { const: "ok" },
        volumes: { type: "integer" },
        warnings: { type: "array", items: text },
      },
    },
  },
  volumes: {
    method: "GET",
    path: "volumes",
    summary: "A page of the volumes with their states and holders, sorted by name.",
    query: {
      after: { schema: text, about: "Only names behind this one: the `next` of the last page." },
      count: {
        schema: { type: "integer", minimum: 1, maximum: VOLUMES_PAGE_COUNT_MAX },
        about: `At most so many; ${VOLUMES_PAGE_COUNT_MAX} by default.`,
      },
    },
    reply: {
      type: "object",
      required: ["volumes", "next"],
      properties: {
        volumes: { type: "array", items: volume },
        /** null: this was the last page. */
        next: { type: ["string", "null"] },
      },
    },
  },
  volume: {
    method: "GET",
    path: "volumes/{name}",
    summary: "One volume with its state and holders.",
    query: {},
    reply: volume,
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
  engines: {
    method: "GET",
    path: "engines",
    summary: "The container engines that have used the volume driver socket, asked now.",
    query: {},
    reply: {
      type: "object",
      required: ["engines"],
      properties: {
        engines: {
          type: "array",
          items: {
            type: "object",
            required: ["key", "since", "containers", "error"],
            properties: {
              key: text,
              /** The first contact. */
              since: instant,
              /** How many of its containers have a volume of ours; null: it does not answer. */
              containers: { type: ["integer", "null"] },
              /** Why it does not answer. */
              error: textOrNull,
            },
          },
        },
      },
    },
  },
  forgetEngine: {
    method: "DELETE",
    path: "engines/{key}",
    summary: "Forgets an engine that is gone for good: it is not asked before removals any more.",
    query: {
      force: {
        schema: { enum: ["true", "false"] },
        about: "Also one that answers and has containers with volumes.",
      },
    },
    reply: undefined,
  },
  adoptions: {
    method: "GET",
    path: "adoptions",
    summary: "The local volumes of a Docker Engine, and what keeps each from being adopted.",
    query: adoptionQuery,
    reply: adoptionPlan,
  },
  adopt: {
    method: "PUT",
    path: "adoptions/{name}",
    summary: "Brings a local volume of a Docker Engine under Holdfast, by renaming its data.",
    query: adoptionQuery,
    reply: volume,
  },
  release: {
    method: "DELETE",
    path: "adoptions/{name}",
    summary: "Gives a volume to a Docker Engine as a local one, by renaming its data.",
    query: adoptionQuery,
    reply: undefined,
  },
  history: {
    method: "GET",
    path: "history",
    summary: "Who changed what, the newest first.",
    query: {
      volume: { schema: text, about: "Only changes of this volume." },
      count: {
        schema: { type: "integer", minimum: 1, maximum: HISTORY_ANSWER_COUNT_MAX },
        about: `At most so many; ${HISTORY_ANSWER_COUNT_MAX} by default.`,
      },
    },
    reply: {
      type: "object",
      required: ["changes"],
      properties: { changes: { type: "array", items: change } },
    },
  },
  openapi: {
    method: "GET",
    path: "openapi.json",
    summary: "This table as an OpenAPI document.",
    query: {},
    reply: { type: "object" },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;

export type RouteName = keyof typeof contract;

/** The error body of every own route. */
const failure = {
  type: "object",
  required: ["message", "code", "kind", "recovery"],
  properties: { message: text, code: text, kind: text, recovery: text, details: {} },
} as const satisfies Schema;

/** The OpenAPI 3.1 document of the table. */
export function openApiDocument(version: string): Schema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [operationId, route] of Object.entries<RouteContract>(contract)) {
    const path = `${OWN_PREFIX}${route.path}`;
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => ({
      name: match[1],
      in: "path",
      required: true,
      schema: text,
    }));
    const inQuery = Object.entries(route.query).map(([name, { schema, about }]) => ({
      name,
      in: "query",
      schema,
      description: about,
    }));
    const reply = route.reply === undefined ? {} : json(route.reply);
    const answers = {
      [route.reply === undefined ? "204" : "200"]: { description: "Done.", ...reply },
      default: { description: "Refused or failed.", ...json(failure) },
    };
    const parameters = [...inPath, ...inQuery];
    const operation = { operationId, summary: route.summary, parameters, responses: answers };
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation };
  }
  return { openapi: "3.1.0", info: { title: "Holdfast", version }, paths };
}

function json(schema: Schema): Schema {
  return { content: { "application/json": { schema } } };
}
