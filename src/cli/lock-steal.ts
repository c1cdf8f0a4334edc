// `holdfast lock steal`: takes a lock away from whoever holds it, after saying who that is.
import type { Invocation } from "./command.ts";
import { exitOfKind } from "./exit-codes.ts";
import { CliFailure } from "./failure.ts";
import { lockPath, placeOf, placeText } from "./lock-place.ts";
import { ownerText, readLocks, type SeenLock, sinceText } from "./lock-view.ts";
import { badWords, tell } from "./own-client.ts";
import { typedName } from "./typed-name.ts";

export async function stealLock(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const place = placeOf(options, positional[0] ?? "");
  const fence = options.text("fence");
  const held = (await readLocks(client, place.volume)).filter(
    (each) => each.lock === place.lock && (fence === undefined || each.fence === fence),
  );
  const [lock, ...others] = held;
  const nowMs = terminal.nowMs();
  if (lock === undefined) {
    const which = fence === undefined ? "" : ` with the fence ${fence}`;
    const message = `nobody holds the lock ${placeText(place)}${which}`;
    throw new CliFailure(message, exitOfKind.not_found, { code: "lock.not_held" });
  }
  if (others.length > 0) {
    const list = held.map((each) => `  ${described(each, nowMs)}\n`).join("");
    throw badWords(
      `several share ${placeText(place)}: say by --fence from whom it is taken\n${list.trimEnd()}`,
    );
  }
  if (!options.flag("force")) {
    const warning = `This takes ${placeText(place)} away from ${described(lock, nowMs)}.`;
    await typedName(terminal, placeText(place), { warning, option: "--force" });
  }
  const query = `?fence=${encodeURIComponent(lock.fence)}`;
  await tell(client, { method: "DELETE", path: `${lockPath(place)}${query}` });
  await terminal.out(`${options.flag("json") ? JSON.stringify(lock) : placeText(place)}\n`);
  return 0;
}

function described(lock: SeenLock, nowMs: number): string {
  const { holder, fence, waiting } = lock;
  const queue = waiting === 0 ? "" : `, ${waiting} waiting`;
  const since = sinceText(lock, nowMs);
  return `${ownerText(holder)}, which has it for ${since} (fence ${fence}${queue})`;
}
