// The route of drivers: which there are, and what options the built-in ones take.
import type { DriverManual } from "../../core/driver-manual.ts";
import type { Engine } from "../../engine/engine.ts";
import type { RouteContract } from "./route-contract.ts";
import { text, textOrNull } from "./route-contract.ts";

export const driverRoutes = {
  drivers: {
    method: "GET",
    path: "drivers",
    summary: "The drivers that volumes can be made with, and the options of those built in.",
    query: {},
    reply: {
      type: "object",
      required: ["drivers"],
      properties: {
        drivers: {
          type: "array",
          items: {
            type: "object",
            required: ["name", "kind", "summary", "options"],
            properties: {
              name: text,
              kind: { enum: ["built in", "plugin"] },
              /** "" of a plugin. */
              summary: text,
              /** null: only the plugin knows. */
              options: {
                type: ["array", "null"],
                items: {
                  type: "object",
                  required: ["name", "value", "help", "isRequired", "default", "rule"],
                  properties: {
                    name: text,
                    /** A word for its value. */
                    value: text,
                    help: text,
                    isRequired: { type: "boolean" },
                    default: textOrNull,
                    /** What its value must be. */
                    rule: textOrNull,
                  },
                },
              },
            },
          },
        },
      },
    },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;

/** The handler of `drivers`. */
export function driverHandlers({ drivers }: Engine, manuals: readonly DriverManual[]) {
  return {
    drivers: () => ({
      drivers: drivers.all().map((name) => {
        if (drivers.isOfPlugin(name)) return { name, kind: "plugin", summary: "", options: null };
        const manual = manuals.find(({ driver }) => driver === name);
        const { summary = "", options = [] } = manual ?? {};
        return { name, kind: "built in", summary, options: options.map(optionObject) };
      }),
    }),
  };
}

function optionObject(option: DriverManual["options"][number]) {
  const { defaultValue, ...rest } = option;
  return { ...rest, default: defaultValue };
}
