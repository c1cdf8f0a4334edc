// Sends one blob of the store to a registry, unless the registry has it.
import type { Operation } from "../../core/operation.ts";
import { isPassing } from "./failures.ts";
import { ATTEMPT_COUNT_MAX } from "./limits.ts";
import type { RepositorySession } from "./session.ts";

export interface BlobUpload {
  readonly digest: string;
  readonly size: number;
  /** Absolute: the blob's file. */
  readonly path: string;
  readonly session: RepositorySession;
  /** Told how much is under way, in bytes. */
  readonly moved: (bytes: number) => void;
}

/** "there": nothing had to be sent. Throws `registry.*`, `storage.*`, what the signal says. */
export async function uploadBlob(
  upload: BlobUpload,
  operation: Operation,
): Promise<"there" | "sent"> {
  const { session, digest } = upload;
  const head = { method: "HEAD", to: `blobs/${digest}`, expected: [200, 404] } as const;
  const found = await session.send(head, operation);
  found.close();
  if (found.status === 200) return "there";
  for (let attempt = 1; ; attempt += 1) {
    try {
      await send(upload, operation);
      return "sent";
    } catch (error) {
      operation.signal.throwIfAborted();
      if (attempt === ATTEMPT_COUNT_MAX || !isPassing(error)) throw error;
      await session.pause(attempt);
    }
  }
}

/** Whole, in one request to the address that the registry gives for it. */
async function send(upload: BlobUpload, operation: Operation): Promise<void> {
  const { session, digest, size, path, moved } = upload;
  const begun = await session.send(
    { method: "POST", to: "blobs/uploads/", expected: [202] },
    operation,
  );
  begun.close();
  const place = session.resolve(begun.header("location") ?? "", begun.url);
  place.searchParams.set("digest", digest);
  const done = await session.send(
    {
      method: "PUT",
      to: place,
      headers: { "content-type": "application/octet-stream" },
      body: { path, size, sent: moved },
      expected: [201, 204],
    },
    operation,
  );
  done.close();
}
