// A state in a directory of its own, for the tests of src/state.
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StateStoreBench } from "../../src/conformance/state-store.ts";
import { silentLog } from "../../src/core/operation.ts";
import type { StateStore } from "../../src/core/state-store.ts";
import { openDatabase } from "../../src/host/database.ts";
import { openState, type StateOptions } from "../../src/state/open-state.ts";

/** Memory where there is some: these tests sync a great deal. */
const folderOfTests = "/dev/shm";

export interface Directory extends Disposable {
  readonly path: string;
}

export function temporaryDirectory(): Directory {
  const path = mkdtempSync(join(folderOfTests, "holdfast-state-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Opens with the real database and clock, and no copy before close unless asked for. */
export function openIn(directory: string, changed: Partial<StateOptions> = {}): StateStore {
  return openState({
    directory,
    openDatabase,
    nowMs: Date.now,
    newId: () => crypto.randomUUID(),
    copyIntervalMs: 3_600_000,
    removalCopyIntervalMs: 3_600_000,
    log: silentLog,
    ...changed,
  });
}

export function openBench(): StateStoreBench {
  const directory = temporaryDirectory();
  let store = openIn(directory.path);
  return {
    store,
    async reopen() {
      await store.close();
      store = openIn(directory.path);
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      directory[Symbol.dispose]();
    },
  };
}
