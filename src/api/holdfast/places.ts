// The route of places: where this daemon has what. `holdfast doctor` looks there.
import type { DaemonPlaces } from "../../core/doctor.ts";
import type { RouteContract } from "./route-contract.ts";
import { text, textOrNull } from "./route-contract.ts";

export const placesRoutes = {
  places: {
    method: "GET",
    path: "places",
    summary: "Where this daemon has its data, its key and its sockets, for `holdfast doctor`.",
    query: {},
    reply: {
      type: "object",
      required: ["root", "secretKey", "pluginSocket", "lockDirectory"],
      properties: {
        /** Without symbolic links. */
        root: text,
        /** The file with the key of the secrets, there or not. */
        secretKey: text,
        /** Where engines find the volume driver; null: nowhere. */
        pluginSocket: textOrNull,
        /** Where containers find `locks.sock`; null: nowhere. */
        lockDirectory: textOrNull,
      },
    },
  },
} as const satisfies Readonly<Record<string, RouteContract>>;

/** The handler of `places`. */
export function placesHandlers(places: DaemonPlaces) {
  return { places: () => ({ ...places }) };
}
