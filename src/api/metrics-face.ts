// GET /metrics: loads what makes the text when it is asked for the first time.
import { EngineError } from "../core/errors.ts";
import type { Header } from "../http/message.ts";
import type { Counts } from "./counts.ts";
import type { ApiFace, ApiParts } from "./handler.ts";
import type { Metrics } from "./metrics.ts";

export const METRICS_PATH = "/metrics";

const plain: readonly Header[] = [["Content-Type", "text/plain; charset=utf-8"]];

/** Prometheus reads the text and nothing else; refusals are for people. */
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
      return { status, headers: plain, body: `${error.message}\n` };
    },
  };
}
