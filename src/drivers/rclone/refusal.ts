// Whether the server has begun to refuse what is mounted. rclone answers from its cache as long as
// it can, and says only in its log, and to whoever asks for more, that the password is wrong now.
import { join } from "node:path";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { lastWords as logged, maskValues } from "../../remote/fuse-process.ts";
import { rcloneConfig } from "./config.ts";
import { lastWords, rcloneFailure } from "./failures.ts";
import { askServer, type RcloneMount } from "./mounts.ts";

/** What its log said longer ago, in milliseconds, is no suspicion. */
const RECENT_MS = 60_000;

/** See `WriteBack.refusal`. */
export async function rcloneRefusal(
  host: Host,
  mount: RcloneMount,
  operation: Operation,
): Promise<string | undefined> {
  const { runDirectory, options, subpath } = mount;
  const said = logged({ runDirectory, secrets: [] }).split("\n");
  if (!said.some((line) => isRefusal(line) && host.nowMs() - saidAtMs(line) < RECENT_MS)) {
    return undefined;
  }
  const secret = (await mount.secret?.())?.revealText() ?? "";
  const config = rcloneConfig(options, secret, subpath);
  try {
    await askServer({ host, config, file: join(runDirectory, "rclone.conf") }, operation);
    return undefined;
  } catch (thrown) {
    operation.signal.throwIfAborted();
    return maskValues(String(thrown instanceof Error ? thrown.message : thrown), config.secrets);
  }
}

function isRefusal(line: string): boolean {
  return rcloneFailure(lastWords(line), "").code === "remote.denied";
}

/** Its time stamps are local. NaN: the line has none. */
function saidAtMs(line: string): number {
  const [, day = "", time = ""] = /^(\d{4}\/\d\d\/\d\d) (\d\d:\d\d:\d\d)/.exec(line) ?? [];
  return Date.parse(`${day.replaceAll("/", "-")}T${time}`);
}
