// Group commit, the length of the history, the automatic copy, and a disk that fails.
import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { whenPossible } from "../../test/support/needs.ts";
import { openIn, temporaryDirectory } from "../../test/support/state-bench.ts";
import { lanePrefix, namesAfter } from "../../test/support/state-writer.ts";
import { contentOf, sampleHistory, sampleVolume } from "../conformance/state-store.ts";
import type { OpenDatabase } from "../core/database.ts";
import { EngineError } from "../core/errors.ts";
import { HISTORY_ROWS_MAX, type StateStore } from "../core/state-store.ts";
import { openDatabase } from "../host/database.ts";
import { readCopy } from "./copy-format.ts";
import { LOG_BYTES } from "./room.ts";

function put(store: StateStore, name: string): Promise<void> {
  return store.write((transaction) => {
    transaction.putVolume(sampleVolume(name));
    transaction.addHistory(sampleHistory(name, 1));
  });
}

/** The real database, counting transactions; the next one fails with `failure` if there is one. */
function counting(): { open: OpenDatabase; count: number; failure: EngineError | undefined } {
  const counter = {
    count: 0,
    failure: undefined as EngineError | undefined,
    open: ((path, options) => {
      const database = openDatabase(path, options);
      return {
        ...database,
        transaction: (work) =>
          database.transaction(() => {
            counter.count++;
            const result = work();
            const { failure } = counter;
            if (failure !== undefined) throw failure;
            return result;
          }),
      };
    }) satisfies OpenDatabase,
  };
  return counter;
}

test.each([0o000, 0o022, 0o077])(
  "with the umask %o only the owner can read what may hold passwords",
  async (umask) => {
    using directory = temporaryDirectory();
    const before = process.umask(umask);
    try {
      // Twice, for the older copy; then a damaged state, which is put aside and made again.
      for (const name of ["aa", "bb"]) {
        const store = openIn(directory.path);
        await put(store, name);
        await store.close();
      }
      const path = join(directory.path, "state.db");
      writeFileSync(`${path}-wal`, "this is no log");
      truncateSync(path, 5_000);
      const store = openIn(directory.path);
      expect(store.origin.kind).toBe("salvaged");
      await store.close();
    } finally {
      process.umask(before);
    }
    const modes = new Map<string, number>();
    for (const name of readdirSync(directory.path)) {
      const kind = name.replace(/damaged-.*Z/, "damaged");
      modes.set(kind, statSync(join(directory.path, name)).mode & 0o777);
    }
    for (const name of ["state.db", "state.db-wal", "state.copy", "state.copy.1"]) {
      expect(modes.get(name)).toBe(0o600);
    }
    expect(modes.get("state.db.damaged")).toBe(0o600);
    expect([...modes.values()].filter((mode) => mode !== 0o600)).toEqual([]);
  },
);

describe("group commit", () => {
  test("all writes of one turn share one transaction", async () => {
    using directory = temporaryDirectory();
    const counter = counting();
    const store = openIn(directory.path, { openDatabase: counter.open });
    const before = counter.count;
    const names = Array.from({ length: 50 }, (_, index) => `volume-${index}`);
    await Promise.all(names.map((name) => put(store, name)));
    expect(counter.count - before).toBe(1);
    await store.close();
  });

  test("a full disk rejects the whole turn, changes nothing, and can end", async () => {
    using directory = temporaryDirectory();
    const counter = counting();
    const store = openIn(directory.path, { openDatabase: counter.open });
    await put(store, "before");
    const before = contentOf(store);
    counter.failure = new EngineError("storage.full", "on purpose");
    const outcomes = await Promise.allSettled([put(store, "aa"), put(store, "bb")]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    expect(contentOf(store)).toEqual(before);
    counter.failure = undefined;
    await put(store, "aa");
    await store.close();
    const again = openIn(directory.path);
    expect(again.read((view) => view.volumeCount)).toBe(2);
    expect(again.history({ order: "newest first", countMax: 9 }).entries).toHaveLength(2);
    await again.close();
  });

  test("values that SQL refuses do not take the others of the turn along", async () => {
    using directory = temporaryDirectory();
    const store = openIn(directory.path);
    const wrong = sampleVolume("wrong", JSON.parse('{"phase":null}'));
    const failed = store.write((transaction) => transaction.putVolume(wrong));
    const good = put(store, "good");
    await expect(failed).rejects.toThrow(/NOT NULL/);
    await good;
    expect(store.read((view) => view.volumeCount)).toBe(1);
    await store.close();
  });

  test("after a disk that failed, nothing is written until the next start", async () => {
    using directory = temporaryDirectory();
    const counter = counting();
    const store = openIn(directory.path, { openDatabase: counter.open });
    await put(store, "before");
    counter.failure = new EngineError("storage.failed", "on purpose");
    await expect(put(store, "aa")).rejects.toMatchObject({ code: "storage.failed" });
    counter.failure = undefined;
    await expect(put(store, "bb")).rejects.toMatchObject({ code: "storage.failed" });
    expect(store.read((view) => view.volumeCount)).toBe(1);
    await store.close();
    const again = openIn(directory.path);
    expect(again.read((view) => view.volumeCount)).toBe(1);
    await again.close();
  });

  whenPossible(["strace"], "each commit is one fdatasync of a log that does not grow", async () => {
    using directory = temporaryDirectory();
    const trace = join(directory.path, "trace");
    const root = join(directory.path, "root");
    const calls = "trace=fdatasync,fsync,ftruncate,fallocate";
    const { text } = await traced(["-f", "-y", "-o", trace, "-e", calls], root, "60");
    expect(text.trim().split("\n")).toHaveLength(60);
    const lines = readFileSync(trace, "utf8").split("\n");
    const synced = lines.filter((line) => /fdatasync\(\d+<[^>]*state\.db-wal>/.test(line));
    // Sixty commits, and at most a handful at opening and closing.
    expect(synced.length).toBeGreaterThanOrEqual(60);
    expect(synced.length).toBeLessThanOrEqual(66);
    // Cut once to its exact length after it was made, and never touched in length again.
    const resized = lines.filter((line) =>
      /f(truncate|allocate)\(\d+<[^>]*state\.db-wal>/.test(line),
    );
    expect(resized.length).toBeLessThanOrEqual(1);
    expect(statSync(join(root, "state.db-wal")).size).toBe(LOG_BYTES);
  });

  whenPossible(["strace"], "a sync that fails acknowledges nothing and loses nothing", async () => {
    using directory = temporaryDirectory();
    const root = join(directory.path, "root");
    const failing = ["-f", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=40+"];
    const { text, exitCode } = await traced(failing, root, "1000");
    expect(exitCode).not.toBe(0);
    const acknowledged = text.trim().split("\n").length;
    expect(acknowledged).toBeGreaterThan(10);
    expect(acknowledged).toBeLessThan(40);
    const store = openIn(root);
    expect(store.origin).toEqual({ kind: "opened" });
    const own = store.read((view) => [...view.volumes()].map((volume) => volume.name)).sort();
    const prefix = lanePrefix(0, 0);
    // The one whose sync failed was not acknowledged; whether it is there nobody promised.
    const either = [namesAfter(prefix, acknowledged), namesAfter(prefix, acknowledged + 1)];
    expect(either).toContainEqual(own);
    await store.close();
  });
});

/** A writer of so many steps below strace: what it acknowledged, and how it ended. */
async function traced(
  options: readonly string[],
  root: string,
  steps: string,
): Promise<{ text: string; exitCode: number | null }> {
  const writer = fileURLToPath(new URL("../../test/support/state-writer.ts", import.meta.url));
  const child = spawn("strace", [...options, process.execPath, writer, root, "0", "1", steps], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  await once(child, "close");
  return { text, exitCode: child.exitCode };
}

test("a log that a large write has made long is cut again, and nothing is lost", async () => {
  using directory = temporaryDirectory();
  const store = openIn(directory.path);
  const log = join(directory.path, "state.db-wal");
  const names = Array.from({ length: 40_000 }, (_, index) => `volume-${index}`);
  await store.write((transaction) => {
    for (const name of names) transaction.putVolume(sampleVolume(name));
  });
  expect(statSync(log).size).toBeLessThanOrEqual(2 * LOG_BYTES);
  await store.close();
  const again = openIn(directory.path);
  expect(again.read((view) => view.volumeCount)).toBe(names.length);
  await again.close();
});

describe("the history", () => {
  test("keeps the newest rows and no more, and counts on after a start", async () => {
    using directory = temporaryDirectory();
    let store = openIn(directory.path);
    const count = HISTORY_ROWS_MAX + 700;
    for (let atMs = 0; atMs < count; ) {
      const until = Math.min(atMs + 5_000, count);
      await store.write((transaction) => {
        for (; atMs < until; atMs++) transaction.addHistory(sampleHistory("aa", atMs));
      });
    }
    for (let turn = 0; turn < 2; turn++) {
      const kept = store.history({
        order: "newest first",
        countMax: 2 * HISTORY_ROWS_MAX,
      });
      expect(kept.entries).toHaveLength(HISTORY_ROWS_MAX);
      expect(kept.entries[0]?.atMs).toBe(count - 1);
      await store.close();
      store = openIn(directory.path);
    }
    await store.close();
    const database = openDatabase(join(directory.path, "state.db"), { mode: "existing" });
    const rows = database.prepare<{ n: number }>("SELECT count(*) AS n FROM history").get()?.n;
    expect(rows).toBeLessThan(HISTORY_ROWS_MAX + 512);
    database.close();
  }, 60_000);
});

test("the history leaves out what a newer program wrote, and pages go on behind it", async () => {
  using directory = temporaryDirectory();
  const first = openIn(directory.path);
  for (const name of ["aa", "bb", "cc", "dd"]) await put(first, name);
  await first.close();
  const database = openDatabase(join(directory.path, "state.db"), { mode: "existing" });
  database.prepare("UPDATE history SET action = 'dance' WHERE volume = 'bb'").run();
  database.prepare("UPDATE history SET outcome = 'dance.refused' WHERE volume = 'cc'").run();
  database.close();
  const store = openIn(directory.path);
  const seen: string[] = [];
  let before: number | undefined;
  do {
    const query = { order: "newest first", countMax: 1 } as const;
    const page = store.history(before === undefined ? query : { ...query, before });
    seen.push(...page.entries.map(({ volume }) => volume));
    before = page.next ?? undefined;
  } while (before !== undefined);
  expect(seen).toEqual(["dd", "aa"]);
  await store.close();
});

describe("the automatic copy", () => {
  test("is written by itself after a change, and not again without one", async () => {
    using directory = temporaryDirectory();
    const store = openIn(directory.path, { copyIntervalMs: 5 });
    await put(store, "aa");
    await untilCopied(directory.path, 1);
    await put(store, "bb");
    await untilCopied(directory.path, 2);
    expect(readCopy(join(directory.path, "state.copy.1")).volumes).toHaveLength(1);
    const { mtimeMs } = statSync(join(directory.path, "state.copy"));
    await store.close();
    expect(statSync(join(directory.path, "state.copy")).mtimeMs).toBe(mtimeMs);
  });

  test("follows a removal sooner, whatever else it waits for", async () => {
    using directory = temporaryDirectory();
    const store = openIn(directory.path, { removalCopyIntervalMs: 5 });
    for (const name of ["aa", "bb"]) await put(store, name);
    expect(existsSync(join(directory.path, "state.copy"))).toBe(false);
    await store.write((transaction) => transaction.removeVolume(sampleVolume("aa").name));
    await untilCopied(directory.path, 1);
    await store.close();
  });

  test("follows a protection sooner too", async () => {
    using directory = temporaryDirectory();
    const store = openIn(directory.path, { removalCopyIntervalMs: 5 });
    await put(store, "aa");
    expect(existsSync(join(directory.path, "state.copy"))).toBe(false);
    await store.write((transaction) => {
      transaction.addHistory({ ...sampleHistory("aa", 1), action: "protect" });
    });
    await untilCopied(directory.path, 1);
    await store.close();
  });

  test("one that cannot be written leaves the older one and harms no write", async () => {
    using directory = temporaryDirectory();
    let store = openIn(directory.path);
    await put(store, "aa");
    await store.close();
    // A directory in the way of the new copy's file.
    const blocked = join(directory.path, "state.copy.new", "in-the-way");
    mkdirSync(blocked, { recursive: true });
    store = openIn(directory.path, { copyIntervalMs: 1 });
    await put(store, "bb");
    await store.close();
    expect(readCopy(join(directory.path, "state.copy")).volumes).toHaveLength(1);
    expect(existsSync(blocked)).toBe(true);
    store = openIn(directory.path);
    expect(store.read((view) => view.volumeCount)).toBe(2);
    await store.close();
  });
});

/** Waits for a copy of so many volumes to be in place. */
async function untilCopied(directory: string, volumes: number): Promise<void> {
  const path = join(directory, "state.copy");
  const isThere = () => existsSync(path) && readCopy(path).volumes.length === volumes;
  const watcher = watch(directory);
  try {
    while (!isThere()) await once(watcher, "change");
  } finally {
    watcher.close();
  }
}
