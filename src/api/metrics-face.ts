// GET /metrics: loads what makes the text when it is asked for the first time.
import { EngineError } from "../core/errors.ts";
import type { Header } from "../http/message.ts";
import type { Counts } from "./counts.ts";
import type { ApiFace, ApiParts } from "./handler.ts";
import type { Metrics } from "./metrics.ts";

export const METRICS_PATH = "/metrics";

const json: readonly Header[] = [["Content-Type", "application/json"]];

/** Prometheus reads the text and nothing else; refusals are worded as on Docker's routes. */
export function makeMetricsFace(parts: ApiParts, counts: Counts): ApiFace {
  let metrics: Promise<Metrics> | undefined;
  const load = async (): Promise<Metrics> =>
    new (await import("./metrics.ts")).Metrics(parts, counts);
  return {
    async answer({ request: { method } }) {
      if (method !== "GET" && method !== "HEAD") {
        throw new EngineError("request.invalid", `${METRICS_PATH} takes GET, not ${method}`);
      }
      metrics ??= load();
      const { type, text } = await (await metrics).render();
      return { status: 200, headers: [["Content-Type", type]], body: text };
    },
    refuse(error) {
      const status = error.kind === "invalid" ? 400 : 500;
      return { status, headers: json, body: `${JSON.stringify({ message: error.message })}\n` };
    },
  };
}
