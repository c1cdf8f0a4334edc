// Processes of an earlier life that nobody knows of: the daemon died between their start and the
// note of it (fuse-process.ts), or before they had mounted anything.
//
// What serves a mount is taken over. What does not would mount at any later time, for nobody.
import path from "node:path";
import { messageOf } from "../core/errors.ts";
import type { FoundProcess, Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import { adoptFuse, endFuse, readNote } from "./fuse-process.ts";
import type { Layout } from "./layout.ts";

/** What serves mounts of a driver just now: asked before this life starts any. */
export function straysOf(
  host: Pick<Host, "findKept">,
  program: string | undefined,
  { volumes }: Pick<Layout, "volumes">,
): readonly FoundProcess[] {
  if (program === undefined) return [];
  return host.findKept(volumes).filter((found) => found.program === program);
}

/** Takes over or ends each of them. Never rejects: what goes wrong is logged. */
export async function settleStrays(
  host: Host,
  strays: readonly FoundProcess[],
  { run }: Pick<Layout, "run">,
  operation: Operation,
): Promise<void> {
  for (const stray of strays) {
    const { pid, path: target } = stray;
    const place = { target, runDirectory: path.join(run, path.basename(path.dirname(target))) };
    const facts = { pid, path: target };
    try {
      const isMounted = host.mounts().some((mount) => mount.target === target);
      const noted = readNote(place);
      const isNoted = noted?.pid === pid && noted.start === stray.start;
      if (isMounted && isNoted) continue;
      if (isMounted && noted === undefined && strays.filter(sameTarget(target)).length === 1) {
        adoptFuse(place, stray);
        operation.log.info("a process that nobody knew serves a mount, and is taken over", facts);
      } else if (!isMounted || noted !== undefined) {
        await endFuse(host, stray);
        operation.log.warn("a process that served nothing is ended", facts);
      }
    } catch (thrown) {
      operation.log.warn("a process is left", { ...facts, error: messageOf(thrown) });
    }
  }
}

function sameTarget(target: string): (stray: FoundProcess) => boolean {
  return ({ path: other }) => other === target;
}
