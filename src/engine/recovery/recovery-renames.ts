// The part of recovery about renames: the row has the new name, and the directory may not yet.
import type { Operation } from "../../core/operation.ts";
import { isMoving } from "../adoption/moving.ts";
import { attempt, isIdentical, type Stage } from "./recovery-stage.ts";

/**
 * A rename is acknowledged by its row. A row without its directory, and a directory of the same
 * identity under a name that no row has: the directory follows.
 */
export async function finishRenames(stage: Stage, operation: Operation): Promise<void> {
  const { parts, driver, present, report } = stage;
  const { rename } = driver;
  if (rename === undefined) return;
  const [absent, rest] = parts.state.read((view) => [
    [...view.volumes()].filter(
      (row) => row.driver === driver.name && !isMoving(row) && !present.has(row.name),
    ),
    [...present.values()].filter(({ name }) => view.volume(name) === undefined),
  ]);
  if (absent.length === 0 || rest.length === 0) return;
  for (const { name, identity } of absent) {
    const found = rest.find((record) => isIdentical(record.identity, identity));
    if (found === undefined) continue;
    await attempt(stage, name, operation, async () => {
      // Also when it fails: nobody may take it for another volume.
      present.delete(found.name);
      operation.log.info("a rename is finished that the last stop had cut short", {
        volume: name,
        from: found.name,
      });
      await rename.rename(found.name, name, operation);
      const { mountpoint } = driver.rebuild?.describe({ name, options: found.options }) ?? found;
      present.set(name, { ...found, name, mountpoint });
      report.renamed.push(name);
    });
  }
}
