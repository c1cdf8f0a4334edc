// Asks an rclone remote's server for a sign of life, where its address is known.
import { EngineError, messageOf } from "../../core/errors.ts";
import { endpointOf, type RcloneOptions } from "./options.ts";

/** How long an answer that decides whether to wait on is waited for, in milliseconds. */
const ANSWER_MS_MAX = 2_000;

/** Any answer of HTTP is a sign of life: nobody logs in. Throws `remote.unreachable`. */
export async function greet(options: RcloneOptions, signal: AbortSignal): Promise<void> {
  const url = endpointOf(options);
  if (url === undefined) return;
  try {
    const tls = { rejectUnauthorized: false };
    const answer = await fetch(url, { method: "HEAD", redirect: "manual", signal, tls });
    await answer.body?.cancel();
  } catch (thrown) {
    signal.throwIfAborted();
    throw new EngineError(
      "remote.unreachable",
      `${url.host} does not answer: ${messageOf(thrown)}`,
    );
  }
}

/** Whether its server is known not to answer. */
export async function isSilent(options: RcloneOptions, signal: AbortSignal): Promise<boolean> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
  return await greet(options, limited).then(
    () => false,
    () => !signal.aborted,
  );
}
