// What a daemon's refusal says to the person who asked.
import type { ApiRequest, Reply } from "./client.ts";
import { DaemonRefusal } from "./failure.ts";

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** What is told of a daemon that was not started anew after an upgrade. */
const olderDaemon = {
  code: "request.no_route",
  recovery: "Start the daemon anew with the newer executable: systemctl restart holdfast",
} as const;

/** By Docker's JSON, by ours with a code and a way out, and by plain text. */
export function refusal(
  reply: Pick<Reply, "status" | "text">,
  { method, path }: Pick<ApiRequest, "method" | "path">,
): DaemonRefusal {
  try {
    // A parser: each field is checked before use.
    const parsed = JSON.parse(reply.text) as Record<string, unknown>;
    const message = textOf(parsed["message"]);
    if (message !== undefined) {
      const details = { code: textOf(parsed["code"]), recovery: textOf(parsed["recovery"]) };
      if (details.code === olderDaemon.code) {
        const why = `it is older than this program, and knows no ${method} ${path}`;
        return new DaemonRefusal(reply.status, why, olderDaemon);
      }
      return new DaemonRefusal(reply.status, message.trim(), details);
    }
  } catch {
    // Not JSON: old daemons answer with plain text, which is shown below.
  }
  const text = reply.text.trim();
  return new DaemonRefusal(reply.status, text === "" ? `status ${reply.status}` : text);
}
