// Holdfast's own routes: what Docker has no word for.
import type { ApiFace, ApiParts } from "../handler.ts";
import { warnings } from "../warnings.ts";
import { adoptionHandlers } from "./adoptions.ts";
import type { RouteHandler } from "./call.ts";
import { conflictHandlers } from "./conflicts.ts";
import { contract, type RouteName } from "./contract.ts";
import { doctorHandlers } from "./doctor.ts";
import { driverHandlers } from "./drivers.ts";
import { engineHandlers } from "./engines.ts";
import { historyHandlers } from "./history.ts";
import { LockRoom } from "./lock-room.ts";
import { lockHandlers } from "./locks.ts";
import { openApiDocument } from "./open-api.ts";
import { placesHandlers } from "./places.ts";
import { pluginHandlers } from "./plugins.ts";
import { prunePlanHandlers } from "./prune-plans.ts";
import { publishHandlers } from "./publish.ts";
import { OWN_PREFIX } from "./route-contract.ts";
import { routeFace } from "./routing.ts";
import { secretHandlers } from "./secrets.ts";
import { trashHandlers } from "./trash.ts";
import { upkeepHandlers } from "./upkeep.ts";
import { oneVolume } from "./volume-object.ts";
import { volumeHandlers } from "./volumes.ts";

export function makeHoldfastApi(api: ApiParts): ApiFace {
  const handlers = makeHandlers(api);
  return routeFace({
    ...{ contract, handlers: () => handlers },
    hint: `${OWN_PREFIX}openapi.json lists all`,
  });
}

function makeHandlers(api: ApiParts): Readonly<Record<RouteName, RouteHandler>> {
  const { engine, facts, userName = () => undefined, lockConnectionsMax = Infinity } = api;
  const words = { userName };
  return {
    health: () => ({
      status: "ok",
      volumes: engine.state.read((view) => view.volumeCount),
      warnings: warnings(api),
    }),
    ...placesHandlers(facts.places),
    ...volumeHandlers(engine, words),
    ...upkeepHandlers(engine),
    ...conflictHandlers(engine),
    ...publishHandlers(engine),
    ...doctorHandlers(engine),
    ...trashHandlers(engine),
    ...prunePlanHandlers(engine),
    ...historyHandlers(engine, words),
    ...engineHandlers(engine),
    ...driverHandlers(engine, facts.driverManuals),
    ...adoptionHandlers(engine, (name) => oneVolume(engine, name)),
    ...pluginHandlers(engine, facts.root),
    ...secretHandlers(engine),
    ...lockHandlers(engine, new LockRoom(lockConnectionsMax)),
    openapi: () => openApiDocument(facts.version),
  };
}
