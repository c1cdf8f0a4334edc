// The handler of the API socket, Docker's routes and Holdfast's own; and what all faces share.
import type { EngineError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { Engine } from "../engine/engine.ts";
import type { AnyResponse, Handler, HttpRequest } from "../http/message.ts";
import { Counts } from "./counts.ts";
import { makeDockerApi } from "./docker/router.ts";
import type { DaemonFacts } from "./facts.ts";
import { OWN_PREFIX } from "./holdfast/route-contract.ts";
import { makeHoldfastApi } from "./holdfast/router.ts";
import { METRICS_PATH, makeMetricsFace } from "./metrics-face.ts";
import { reportRefusal } from "./refusal-report.ts";

export interface ApiParts {
  readonly engine: Engine;
  readonly facts: DaemonFacts;
  /** The operation of a request: its caller, its id, its log. */
  readonly operation: (request: HttpRequest) => Operation;
  /** The name of a user of this machine; nobody has one, by default. */
  readonly userName?: (uid: number) => string | undefined;
  /** What the metrics tell, of other faces too; by default of this one alone. */
  readonly counts?: Counts;
  /** How many connections may hold locks, or wait for them; by default as many as there are. */
  readonly lockConnectionsMax?: number;
}

/** What the routes of one face get for one request. */
export interface RouteContext {
  readonly request: HttpRequest;
  readonly operation: Operation;
}

/**
 * Puts both faces of the API socket together. Errors of handlers become answers here; what is a bug
 * is logged here.
 */
export function makeHandler(parts: ApiParts): Handler {
  const docker = makeDockerApi(parts);
  const own = makeHoldfastApi(parts);
  const counts = parts.counts ?? new Counts(parts.engine);
  const metrics = makeMetricsFace(parts, counts);
  const faceOf = ({ path }: HttpRequest): ApiFace => {
    if (path.startsWith(OWN_PREFIX)) return own;
    return path === METRICS_PATH ? metrics : docker;
  };
  return handlerOf(faceOf, { ...parts, counts });
}

/** A handler that asks one face per request, which words the errors too. */
export function handlerOf(
  faceOf: (request: HttpRequest) => ApiFace,
  { operation: operationOf, counts }: Pick<ApiParts, "operation" | "counts">,
): Handler {
  return (request) => {
    const face = faceOf(request);
    const context: RouteContext = { request, operation: operationOf(request) };
    const refuse = (thrown: unknown): AnyResponse => {
      const error = reportRefusal(thrown, context);
      counts?.addError(error.code);
      return face.refuse(error, context);
    };
    try {
      const answer = face.answer(context);
      return answer instanceof Promise ? answer.catch(refuse) : answer;
    } catch (error) {
      return refuse(error);
    }
  };
}

/** One face: how it answers and how it words a refusal. */
export interface ApiFace {
  answer(context: RouteContext): AnyResponse | Promise<AnyResponse>;
  refuse(error: EngineError, context: RouteContext): AnyResponse;
}
