// A store on tmpfs and a client of registries with short deadlines, for tests of pulls and pushes.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/core/operation.ts";
import type { PluginProgress, RegistryAuth, RegistryCall } from "../../src/core/plugin.ts";
import type { RegistrySettings } from "../../src/plugins/registry/addresses.ts";
import type { StoredImage } from "../../src/plugins/registry/image-push.ts";
import { Images } from "../../src/plugins/registry/images.ts";
import type { RegistryDeadlines } from "../../src/plugins/registry/limits.ts";
import { DOCKER_MANIFEST_TYPE, writeManifest } from "../../src/plugins/registry/manifest.ts";
import { BlobStore } from "../../src/plugins/store/blobs.ts";

export const shortDeadlines: RegistryDeadlines = {
  connectMs: 5_000,
  idleMs: 400,
  answerMs: 1_500,
  paceMs: 500,
  retryPauseMs: 10,
};

export interface RegistryBench extends Disposable {
  readonly folder: string;
  readonly store: BlobStore;
  readonly images: Images;
  readonly settings: RegistrySettings;
  /** Everything that was told so far. */
  readonly told: PluginProgress[];
  readonly tell: (progress: PluginProgress) => void;
  /** Names of files in the store that are not whole. */
  partial(): readonly string[];
  /** A plugin of one random layer, in the store. */
  stored(layerBytes: number): Promise<StoredImage & { readonly layerDigest: string }>;
}

export function registryBench(
  given: Partial<RegistrySettings> & { readonly deadlines?: RegistryDeadlines } = {},
): RegistryBench {
  const folder = mkdtempSync("/dev/shm/holdfast-blobs-");
  const { deadlines = shortDeadlines, ...some } = given;
  const certificates = join(folder, "certs.d");
  const settings = { insecure: [], mirrors: [], certificates, ...some };
  const store = new BlobStore(join(folder, "blobs"));
  const host = { monotonicMs: () => performance.now() };
  const told: PluginProgress[] = [];
  return {
    folder,
    store,
    settings,
    told,
    images: new Images({ store, settings, host, log: silentLog, deadlines }),
    tell: (progress) => told.push(progress),
    partial: () => readdirSync(join(folder, "blobs/partial")),
    stored: async (layerBytes) => {
      const layer = randomBytes(layerBytes);
      const config = Buffer.from(`{"description":"${randomBytes(4).toString("hex")}"}`);
      const layerDigest = await store.put(layer);
      const configDigest = await store.put(config);
      const manifest = writeManifest({ digest: configDigest, size: config.byteLength }, [
        { digest: layerDigest, size: layerBytes },
      ]);
      const layers = [{ digest: layerDigest }];
      return { manifest, mediaType: DOCKER_MANIFEST_TYPE, configDigest, layers, layerDigest };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function callWith(auth?: RegistryAuth): RegistryCall {
  return { auth, metaHeaders: [] };
}
