// Plays the steps of a tour's block, and says where they print something else than is shown.
import { differences } from "./comparison.ts";
import type { ShownIds } from "./shown-ids.ts";
import type { Step, TourBlock } from "./tour.ts";

/** Whoever plays it: see `Stage.run`. */
export interface Player {
  run(words: readonly string[], answers: readonly string[]): Promise<string>;
}

/** What differs, one text for each step that is not as shown. */
export async function untruths(
  { steps }: Pick<TourBlock, "steps">,
  player: Player,
  ids: ShownIds,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const step of steps) {
    const printed = await player.run(ids.toOwn(step.words), answersOf(step));
    const different = [...differences(step.shown, printed), ...ids.learn(step.shown, printed)];
    if (different.length === 0) continue;
    found.push(`line ${step.line}, ${step.command}\n${different.join("\n")}`);
  }
  return found;
}

/** What the reader types at a question: it stands behind it, as on a terminal. */
function answersOf(step: Step): readonly string[] {
  return step.shown.flatMap((line) => /(?:\[y\/N\]|to go on:) (\S+)$/.exec(line)?.[1] ?? []);
}
