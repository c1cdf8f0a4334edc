// The part of recovery about a lost history: what lies in the trash has brought its own along.
import type { Operation } from "../../core/operation.ts";
import type { StateStore } from "../../core/state-store.ts";
import { parseRetired } from "../trash/retired-description.ts";
import type { Stage } from "./recovery-stage.ts";

/** How many changes are taken over at most, the newest. */
const COUNT_MAX = 10_000;

/** Whether the state came back from a copy, or is new: neither has any history. */
export function isHistoryLost(state: Pick<StateStore, "origin" | "history">): boolean {
  if (state.origin.kind === "opened") return false;
  return state.history({ order: "newest first", countMax: 1 }).entries.length === 0;
}

/** Takes over what is written beside the data in the trash (newest first), in the order of time. */
export async function takeHistories(
  { parts, inTrash }: Pick<Stage, "parts" | "inTrash">,
  operation: Operation,
): Promise<void> {
  const changes = [...inTrash.values()]
    .flatMap(({ id, description }) => {
      const described = description === null ? undefined : parseRetired(description);
      return described?.entry.id === id ? described.history.toReversed() : [];
    })
    .sort((left, right) => left.atMs - right.atMs)
    .slice(-COUNT_MAX);
  if (changes.length === 0) return;
  await parts.state.write((transaction) => {
    for (const change of changes) transaction.addHistory(change);
  });
  operation.log.info("the history of what lies in the trash was taken over", {
    count: changes.length,
  });
}
