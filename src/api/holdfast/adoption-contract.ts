// The routes of adoptions as data: a plan, and volumes coming and going.
import { type RouteContract, type Schema, text, textMap, textOrNull } from "./route-contract.ts";
import { volume } from "./volume-contract.ts";

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

export const adoptionRoutes = {
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
} as const satisfies Readonly<Record<string, RouteContract>>;
