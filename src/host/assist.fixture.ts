// Helper commands for the test of assist: what they do stands in their input.
import { existsSync, readFileSync } from "node:fs";
import { EngineError } from "../core/errors.ts";
import { type AssistCall, runAssist } from "./assist-frame.ts";

/** `wait`: looks at that path first, and may never come back. */
async function work({ directory, input, tell }: AssistCall): Promise<unknown> {
  const asked = input as { wait?: string; fail?: string; size?: number; score?: true };
  tell({ step: 1 });
  if (asked.score) return readFileSync("/proc/self/oom_score_adj", "utf8");
  if (asked.wait !== undefined) existsSync(asked.wait);
  if (asked.fail === "engine") {
    throw new EngineError("remote.not_found", "no such share", { details: { share: "x" } });
  }
  if (asked.fail === "bug") throw new TypeError("a bug");
  if (asked.fail === "death") process.kill(process.pid, "SIGKILL");
  tell({ step: 2 });
  return { directory, text: "ä".repeat(asked.size ?? 1) };
}

process.exit(await runAssist(work));
