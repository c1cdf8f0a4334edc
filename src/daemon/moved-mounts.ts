// A data root that was moved while programs served mounts in it: they know it by its old path.
import { existsSync } from "node:fs";
import { EngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import type { StateStore } from "../core/state-store.ts";

/**
 * Throws `state.moved` where a FUSE mount lies below `root`, without links, that is a volume's, and
 * whose place is another one by the state, which is gone. What was written to such a volume is kept
 * by its program until the server has it, below the old path, where nobody would look for it.
 */
export function refuseMovedMounts(
  { state, mounts }: { readonly state: StateStore; readonly mounts: readonly MountInfo[] },
  root: string,
): void {
  const served = mounts
    .filter(({ fileSystem }) => fileSystem.startsWith("fuse."))
    .flatMap(({ target }) => (target.startsWith(`${root}/remote/`) ? [target] : []));
  if (served.length === 0) return;
  const rows = state.read((view) => [...view.volumes()]);
  const moved = rows.flatMap(({ name, driver, mountpoint }) => {
    const place = served.find((target) => target.startsWith(`${root}/remote/${driver}/${name}/`));
    const isMoved = place !== undefined && place !== mountpoint && !existsSync(mountpoint);
    return isMoved ? [{ name, mountpoint }] : [];
  });
  const [first] = moved;
  if (first === undefined) return;
  const names = moved.map(({ name }) => name).join(", ");
  throw new EngineError(
    "state.moved",
    `the root ${root} was moved while volumes were mounted in it (${names}); the programs that ` +
      `serve them know ${first.mountpoint}`,
    { details: { root, volumes: moved.map(({ name }) => name) } },
  );
}
