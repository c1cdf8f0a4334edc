// The routes of the history: backwards in pages, or forwards from a cursor for as long as wanted.
import { EngineError } from "../../core/errors.ts";
import { parseVolumeName } from "../../core/names.ts";
import type { HistoryPage, StoredHistoryEntry } from "../../core/state-store.ts";
import type { Engine } from "../../engine/engine.ts";
import type { StreamWriter } from "../../http/message.ts";
import { type Call, cursorText, LineStream, parseCount, parseCursor, parseFlag } from "./call.ts";
import { HISTORY_ANSWER_COUNT_MAX } from "./history-contract.ts";

/** How many may follow at once; each costs a connection and a line per change. */
export const CHANGE_FOLLOWER_COUNT_MAX = 256;
/** How many old changes are sent before others get their turn. */
const SLICE_COUNT = 200;

/** How a change is worded. */
export interface ChangeWords {
  /** The name of a user of this machine; undefined: nobody has that number. */
  readonly userName: (uid: number) => string | undefined;
}

/** Programs that are a service of the machine: their user says nothing. */
const services = new Set(["dockerd", "containerd"]);

/** The handlers of `history` and `events`. */
export function historyHandlers(engine: Engine, words: ChangeWords) {
  const { history } = engine;
  let followerCount = 0;
  return {
    history: async ({ query, context }: Call) => {
      const before = parseCursor("before", query);
      const countMax = parseCount(query, HISTORY_ANSWER_COUNT_MAX);
      const wanted = { ...(before === undefined ? {} : { before }), countMax };
      const volume = query.get("volume");
      const { entries, next }: HistoryPage =
        volume === null
          ? history.all(wanted)
          : await history.of(parseVolumeName(volume), wanted, context.operation);
      const changes = entries.map((entry) => changeObject(entry, words));
      return { changes, next: next === null ? null : cursorText(next) };
    },
    events: ({ query }: Call) => {
      const after = parseCursor("after", query) ?? history.newest;
      const follows = parseFlag("follow", query, true);
      if (followerCount >= CHANGE_FOLLOWER_COUNT_MAX) {
        throw new EngineError(
          "engine.overloaded",
          `too many follow the changes: at most ${CHANGE_FOLLOWER_COUNT_MAX} may at once`,
        );
      }
      return new LineStream((writer) => {
        followerCount += 1;
        const gone = () => {
          followerCount -= 1;
        };
        sendChanges({ engine, words, writer, follows, after, gone });
      });
    },
  };
}

interface Sending {
  readonly engine: Engine;
  readonly words: ChangeWords;
  readonly writer: StreamWriter;
  readonly follows: boolean;
  readonly after: number;
  /** Called once, when nothing more is sent. */
  readonly gone: () => void;
}

/**
 * First what is stored behind the cursor, in slices, then each change as it is stored. Whoever does
 * not read is cut off by the writer, and goes on behind the last line he got.
 */
function sendChanges({ engine, words, writer, follows, after, gone }: Sending): void {
  const { history } = engine;
  let last = after;
  let unfollow = (): void => {};
  let hasEnded = false;
  const end = (): void => {
    if (hasEnded) return;
    hasEnded = true;
    unfollow();
    gone();
    writer.end();
  };
  writer.closed.addEventListener("abort", end);
  const send = (entry: StoredHistoryEntry): void => {
    if (hasEnded) return;
    last = entry.cursor;
    writer.write(`${JSON.stringify(changeObject(entry, words))}\n`);
  };
  const step = (): void => {
    if (hasEnded) return;
    const { entries, next } = history.after(last, SLICE_COUNT);
    for (const entry of entries) send(entry);
    if (next !== null && entries.length > 0) setImmediate(step);
    // In this same turn: nothing is stored in between.
    else if (follows) unfollow = history.follow(send);
    else end();
  };
  if (hasGap(engine, after)) writer.write(`${JSON.stringify({ gap: true })}\n`);
  step();
}

/** Cursors are whole numbers in a row: the next one is there, or it is gone. */
function hasGap({ history }: Engine, after: number): boolean {
  const [next] = history.after(after, 1).entries;
  return next === undefined ? after > history.newest : next.cursor > after + 1;
}

/** The contract's change (history-contract.ts). */
export function changeObject(entry: StoredHistoryEntry, words: ChangeWords): object {
  const { cursor, atMs, action, volume, driver, caller, subject, outcome, operation } = entry;
  return {
    cursor: cursorText(cursor),
    at: new Date(atMs).toISOString(),
    action,
    volume,
    driver,
    caller,
    by: byText(entry, words),
    subject,
    outcome,
    operation,
  };
}

/** `dockerd`, `docker (root)`, `a process (kim)`. */
function byText({ by, caller }: StoredHistoryEntry, { userName }: ChangeWords): string {
  if (caller.kind === "system" || services.has(by)) return by;
  const user = userName(caller.uid) ?? `uid ${caller.uid}`;
  return `${by === "" ? "a process" : by} (${user})`;
}
