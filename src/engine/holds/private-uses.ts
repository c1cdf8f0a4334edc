// Uses of a hold by mounts that have left its peer group: Podman makes those of its containers
// private, unless it is told otherwise.
//
// What is left in common with the hold is what the mount shows. That does not tell two holds of a
// volume apart, so it is looked at only for the one hold that all of Podman's containers share.
import type { MountInfo } from "../../core/host.ts";
import { type LooseMount, type PeerMount, placeOfMount } from "../../core/peer-mount.ts";
import { holdId } from "./hold-places.ts";
import type { Hold } from "./hold-table.ts";

/** Podman's ID in each Mount and Unmount, of whatever container (`pseudoCtrID` in its source). */
const PODMAN_HOLDER = "2f73349cfc4630255319c6c8dfc1b46a8996ace9d14d8e07563b165915918ec2";

/** Where the mount of some hold is, or was, in whatever directory that is seen. */
const holdPattern = /\/holds\/[0-9a-f]{32}$/;

/** Also for a hold whose row was lost, and which goes by the name of its place. */
export function isPodmans({ volume, holder }: Pick<Hold, "volume" | "holder">): boolean {
  return holder === PODMAN_HOLDER || holder === holdId(volume, PODMAN_HOLDER);
}

/** What the hold's mounts show, those beneath another too. `table`: our own namespace's. */
export function placesOfHold(hold: Hold, table: readonly MountInfo[]): readonly string[] {
  const lines = table.filter(({ target }) => target === hold.path);
  return [...new Set(lines.map(placeOfMount))];
}

/** Of the mounts that show a hold's place those that are uses of it. */
export function privateUses(
  { hold, place }: { readonly hold: Hold; readonly place: string },
  loose: readonly LooseMount[],
  table: readonly MountInfo[],
): readonly PeerMount[] {
  const { group } = hold;
  if (group === null) return [];
  const ours = table.filter((line) => placeOfMount(line) === place).map(({ target }) => target);
  return loose
    .filter((mount) => mount.place === place && !isInherited(mount, ours))
    .map(({ place: _, ...mount }) => ({ ...mount, group }));
}

/**
 * A namespace that was copied from ours has what we have, at the same path; a container with the
 * machine's `/` inside has it at a longer one. A volume's mount in a container may well be at the
 * path that the data has here.
 */
function isInherited({ target, container }: LooseMount, ours: readonly string[]): boolean {
  if (target === "/" || holdPattern.test(target)) return true;
  return ours.some((own) => target.endsWith(own) && (container === null || target !== own));
}
