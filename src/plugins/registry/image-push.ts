// Sends a plugin to a registry: the blobs that it lacks, then the manifest that names them.
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import type { TellProgress } from "../../core/plugin.ts";
import type { PluginReference } from "../../core/plugin-reference.ts";
import { type BlobStore, digestOf } from "../store/blobs.ts";
import { BlobProgress } from "./blob-progress.ts";
import { uploadBlob } from "./blob-upload.ts";
import { PARALLEL_LAYERS } from "./limits.ts";
import { eachInParallel } from "./parallel.ts";
import type { RepositorySession } from "./session.ts";

/** What is sent; its config and its layers are in the store. */
export interface StoredImage {
  readonly manifest: Uint8Array;
  readonly mediaType: string;
  readonly configDigest: string;
  readonly layers: readonly { readonly digest: string }[];
}

export interface PushParts {
  readonly store: Pick<BlobStore, "size" | "path">;
  readonly host: Pick<Host, "monotonicMs">;
  readonly session: RepositorySession;
}

export interface Push {
  readonly reference: PluginReference;
  readonly image: StoredImage;
  readonly tell: TellProgress;
}

/**
 * Sends what the repository of the session lacks, then the manifest under the reference's tag.
 * Resolves with the manifest's digest and size in bytes. Throws `registry.*`, `storage.*`; then the
 * tag is as it was.
 */
export async function pushImage(
  { store, host, session }: PushParts,
  { reference, image, tell }: Push,
  operation: Operation,
): Promise<{ readonly digest: string; readonly size: number }> {
  const digest = digestOf(image.manifest);
  const size = image.manifest.byteLength;
  const blobs = [...new Set([...image.layers.map((layer) => layer.digest), image.configDigest])];
  const words = { doing: "Uploading", first: "", tell, host };
  const ofManifest = new BlobProgress({ digest, size, ...words });
  const all = blobs.map((blob) => {
    const blobSize = store.size(blob);
    return {
      size: blobSize,
      digest: blob,
      isSent: false,
      progress: new BlobProgress({ digest: blob, size: blobSize, ...words }),
    };
  });
  const lines = [ofManifest, ...all.map(({ progress }) => progress)];
  for (const line of lines) line.say("Preparing");
  await reach(session, image.configDigest, operation);
  // Docker begins once more when it learns that the registry knows no TLS.
  if (session.isPlain) for (const line of lines) line.say("Preparing");
  await eachInParallel(all, PARALLEL_LAYERS, operation, async (blob, part) => {
    const { progress } = blob;
    const moved = (bytes: number) => progress.moved(bytes);
    const path = store.path(blob.digest);
    const upload = { digest: blob.digest, size: blob.size, path, session, moved };
    blob.isSent = (await uploadBlob(upload, part)) === "sent";
    if (progress.hasFigures) sayComplete(progress, blob.size);
  });
  await putManifest(session, { reference, image, digest }, operation);
  sayComplete(ofManifest, size);
  for (const blob of all) {
    if (blob.isSent && !blob.progress.hasFigures) sayComplete(blob.progress, blob.size);
  }
  for (const line of lines) line.say("Upload complete");
  const aux = { tag: reference.tag ?? "", digest, size };
  tell({ status: "", isOfLayer: true, aux });
  return { digest, size };
}

/** A first request that changes nothing: who is there, and does it let us in? */
async function reach(
  session: RepositorySession,
  digest: string,
  operation: Operation,
): Promise<void> {
  const expected = [200, 404];
  const answer = await session.send({ method: "HEAD", to: `blobs/${digest}`, expected }, operation);
  answer.close();
}

async function putManifest(
  session: RepositorySession,
  { reference, image, digest }: Pick<Push, "reference" | "image"> & { readonly digest: string },
  operation: Operation,
): Promise<void> {
  const answer = await session.send(
    {
      method: "PUT",
      to: `manifests/${reference.tag ?? digest}`,
      headers: { "content-type": image.mediaType },
      body: image.manifest,
      expected: [200, 201, 202],
    },
    operation,
  );
  answer.close();
  const said = answer.header("docker-content-digest");
  if (said === undefined || said === digest) return;
  throw new EngineError(
    "registry.failed",
    `the registry keeps ${said.slice(0, 71)} instead of ${digest}`,
  );
}

function sayComplete(progress: BlobProgress, size: number): void {
  progress.say("Upload complete", { current: size, total: size });
}
