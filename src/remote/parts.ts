// What a driver over remote storage is put together from.
import type { Host } from "../core/host.ts";
import type { SecretStore } from "../core/secret-store.ts";

export interface RemoteDriverParts {
  /** The data root: absolute, without a trailing slash. */
  readonly root: string;
  /**
   * Absolute, without a trailing slash; in memory, and this root's own (`/run/holdfast/<hash>`).
   * Made when it is missing, mode 0700. Volumes are in `remote/<driver>/<name>` below it.
   */
  readonly runDirectory: string;
  readonly host: Host;
  readonly secrets: Pick<SecretStore, "read">;
}
