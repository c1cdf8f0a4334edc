// Brings one layer into the store: verified while it comes, resumed where it was cut, and given up
// when nothing moves any more.
import { EngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { type Ingest, notAsNamed } from "../store/ingest.ts";
import type { BlobProgress } from "./blob-progress.ts";
import type { Answer } from "./exchange.ts";
import { cutShort, isPassing } from "./failures.ts";
import { PROGRESS_BYTES_MIN, type RegistryDeadlines, STALLED_ATTEMPT_COUNT_MAX } from "./limits.ts";
import type { Descriptor } from "./manifest.ts";
import type { RepositorySession } from "./session.ts";

export interface LayerDownload {
  readonly layer: Descriptor;
  /** Where it may be; the original is last. */
  readonly sessions: readonly RepositorySession[];
  readonly ingest: Ingest;
  readonly progress: BlobProgress;
  readonly deadlines: RegistryDeadlines;
}

/**
 * Resolves when the blob is in its place. Throws `plugin.image_invalid` when what comes is not what
 * was named, `registry.*`, `storage.*`, what the signal says. The caller discards the ingest.
 */
export async function downloadLayer(download: LayerDownload, operation: Operation): Promise<void> {
  const { layer, ingest, progress } = download;
  // Mirrors that failed are not asked again: the original has everything.
  let sessions = download.sessions;
  for (let stalled = 0; ingest.bytes < layer.size; ) {
    const session = sessions[0];
    if (session === undefined) throw new EngineError("internal.bug", "no registry is left");
    const before = ingest.bytes;
    try {
      await attempt(download, session, operation);
    } catch (error) {
      operation.signal.throwIfAborted();
      if (session.isMirror && sessions.length > 1 && isOfRegistry(error)) {
        sessions = sessions.slice(1);
        continue;
      }
      if (!isPassing(error)) throw error;
      const isMoving = ingest.bytes - before >= PROGRESS_BYTES_MIN;
      stalled = isMoving ? 0 : stalled + 1;
      if (stalled >= STALLED_ATTEMPT_COUNT_MAX) throw error;
      progress.say("Retrying");
      await session.pause(Math.max(stalled, 1));
    }
  }
  await ingest.commit(layer);
}

function isOfRegistry(error: unknown): boolean {
  return error instanceof EngineError && error.code.startsWith("registry.");
}

/** One request. Throws "cut" when it ends before the layer does. */
async function attempt(
  { layer, ingest, progress, deadlines }: LayerDownload,
  session: RepositorySession,
  operation: Operation,
): Promise<void> {
  const from = ingest.bytes;
  const answer = await session.send(
    {
      method: "GET",
      to: `blobs/${layer.digest}`,
      headers: from === 0 ? {} : { range: `bytes=${from}-` },
      expected: [200, 206, 416],
    },
    operation,
  );
  const place = { method: "GET", url: answer.url, isConnecting: false };
  if (!goesOn(answer, { from, size: layer.size })) {
    // It cannot continue, or does not: whatever it sends now is from the beginning.
    await ingest.restart();
    if (answer.status !== 200) {
      answer.close();
      throw cutShort(place, "the registry cannot continue a transfer");
    }
  }
  refuseOtherSize(answer, layer, ingest.bytes);
  let isSlow = false;
  let paceFrom = ingest.bytes;
  const pace = setInterval(() => {
    isSlow = ingest.bytes - paceFrom < PROGRESS_BYTES_MIN;
    paceFrom = ingest.bytes;
    if (isSlow) answer.close();
  }, deadlines.paceMs);
  try {
    for await (const chunk of answer.body()) {
      if (ingest.bytes + chunk.byteLength > layer.size) throw longer(layer);
      await ingest.write(chunk);
      progress.moved(ingest.bytes);
    }
  } catch (error) {
    if (isSlow) throw cutShort(place, "the registry sends next to nothing");
    throw error;
  } finally {
    clearInterval(pace);
  }
  if (ingest.bytes < layer.size) throw cutShort(place, "unexpected EOF");
}

/** Whether an answer begins where we are. */
function goesOn(
  answer: Answer,
  { from, size }: { readonly from: number; readonly size: number },
): boolean {
  if (answer.status === 200) return from === 0;
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.header("content-range") ?? "");
  if (answer.status !== 206 || range === null) return false;
  const [, start, end, total] = range;
  return (
    Number(start) === from && Number(end) === size - 1 && (total === "*" || Number(total) === size)
  );
}

/** Said before it is sent: nothing of it is worth waiting for. */
function refuseOtherSize(answer: Answer, layer: Descriptor, from: number): void {
  const length = answer.header("content-length");
  if (length === undefined || Number(length) === layer.size - from) return;
  answer.close();
  const text = `${layer.digest} has ${Number(length) + from} bytes, expected ${layer.size}`;
  throw notAsNamed(text, { expected: layer.digest });
}

function longer(layer: Descriptor): EngineError {
  const text = `${layer.digest} has more than ${layer.size} bytes`;
  return notAsNamed(text, { expected: layer.digest });
}
