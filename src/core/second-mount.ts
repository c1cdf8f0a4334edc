// The facet of drivers whose storage can be seen as another client of it sees it.
import type { VolumeName } from "./names.ts";
import type { Operation } from "./operation.ts";

/** A second mount, which ends when it is disposed of. */
export interface SecondMount extends AsyncDisposable {
  /** Absolute: the same directory as the volume's data, through a client of its own. */
  readonly path: string;
}

export interface ElsewhereCapable {
  /**
   * Mounts what the volume's data is on once more, through caches and locks that have nothing to do
   * with those of its own mount: for measuring what other hosts see. The volume is mounted already.
   * Throws what `mount` throws; then nothing is left of it. A crash leaves at most a mount that the
   * next call takes away.
   */
  mount(name: VolumeName, operation: Operation): Promise<SecondMount>;
}
