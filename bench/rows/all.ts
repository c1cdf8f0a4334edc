// Every group of rows, in the order in which they run and stand in the tables.
import type { Group } from "../rows.ts";
import { changeGroup } from "./change.ts";
import { commandGroup } from "./command.ts";
import { containerGroup } from "./container.ts";
import { crowdGroup } from "./crowd.ts";
import { floorGroup } from "./floor.ts";
import { growthGroup } from "./growth.ts";
import { guardGroup } from "./guard.ts";
import { holdsGroup } from "./holds.ts";
import { locksGroup } from "./locks.ts";
import { nasSpeedGroup } from "./nas-speed.ts";
import { pluginInstallGroup } from "./plugin-install.ts";
import { pluginsGroup } from "./plugins.ts";
import { purgeGroup } from "./purge.ts";
import { inspectGroup, listGroup } from "./read.ts";
import { remoteGroup } from "./remote.ts";
import { remoteSpeedGroup } from "./remote-speed.ts";
import { restGroup } from "./rest.ts";
import { sizeGroup } from "./size.ts";
import { trashGroup } from "./trash.ts";
import { writingGroup } from "./writing.ts";

/** The groups. */
export const groups: readonly Group[] = [
  floorGroup,
  changeGroup,
  inspectGroup,
  listGroup,
  commandGroup,
  restGroup,
  growthGroup,
  sizeGroup,
  holdsGroup,
  locksGroup,
  containerGroup,
  writingGroup,
  guardGroup,
  trashGroup,
  crowdGroup,
  purgeGroup,
  pluginsGroup,
  pluginInstallGroup,
  remoteGroup,
  remoteSpeedGroup,
  nasSpeedGroup,
];

/**
 * The groups that a list of words selects: by the group's name, by a row's id, or by the first part
 * of one, so that `create` means both create rows. Throws when a word selects nothing.
 */
export function selectedGroups(words: readonly string[]): readonly Group[] {
  if (words.length === 0) {
    return groups;
  }
  const isMeant = (group: Group, word: string): boolean =>
    group.name === word || group.rows.some(({ id }) => id === word || id.startsWith(`${word}-`));
  for (const word of words) {
    if (!groups.some((group) => isMeant(group, word))) {
      const known = groups.flatMap((group) => [group.name, ...group.rows.map(({ id }) => id)]);
      throw new Error(`--only ${word} selects nothing; there are ${known.join(", ")}`);
    }
  }
  return groups.filter((group) => words.some((word) => isMeant(group, word)));
}
