// Holdfast's own routes as data: handlers, OpenAPI and the reference come from this table.
import { adoptionRoutes } from "./adoption-contract.ts";
import { conflictRoutes } from "./conflict-contract.ts";
import { doctorRoutes } from "./doctor-contract.ts";
import { driverRoutes } from "./drivers.ts";
import { historyRoutes } from "./history-contract.ts";
import { lockRoutes } from "./lock-contract.ts";
import { placesRoutes } from "./places.ts";
import { pluginRoutes } from "./plugin-contract.ts";
import { prunePlanRoutes } from "./prune-plan-contract.ts";
import { publishRoutes } from "./publish-contract.ts";
import { flag, instant, type RouteContract, text, textOrNull } from "./route-contract.ts";
import { secretRoutes } from "./secret-contract.ts";
import { trashRoutes } from "./trash-contract.ts";
import { volumeRoutes } from "./volume-contract.ts";

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
  ...placesRoutes,
  ...volumeRoutes,
  ...conflictRoutes,
  ...publishRoutes,
  ...doctorRoutes,
  ...trashRoutes,
  ...prunePlanRoutes,
  ...historyRoutes,
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
        schema: flag,
        about: "Also one that answers and has containers with volumes.",
      },
    },
    reply: undefined,
  },
  ...driverRoutes,
  ...adoptionRoutes,
  ...pluginRoutes,
  ...secretRoutes,
  ...lockRoutes,
  openapi: {
    method: "GET",
    path: "openapi.json",
    summary: "This table as an OpenAPI document.",
    query: {},
    reply: { type: "object" },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;

export type RouteName = keyof typeof contract;
