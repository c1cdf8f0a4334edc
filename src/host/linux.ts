// The machine as it is: core/host.ts on Linux.
import type { Host, MountInfo } from "../core/host.ts";
import { makeAssist } from "./assist.ts";
import { dataSpans } from "./data-spans.ts";
import { ownDirectory } from "./directory-owner.ts";
import { pathOfWritten, watchWrites, writeWatchCountMax } from "./fanotify.ts";
import { abortFuse } from "./fuse-control.ts";
import { makeHoldMounts } from "./hold-mounts.ts";
import { keptProcesses } from "./kept-processes.ts";
import { makeLayers } from "./layers.ts";
import { makeLooks } from "./looks.ts";
import { isMountPoint } from "./mount-facts.ts";
import { sitsBelow } from "./mount-sitters.ts";
import { readMountTable } from "./mount-table.ts";
import { makeMounts } from "./mounts.ts";
import { findMountsBelow, findMountsWhere } from "./mounts-below.ts";
import type { ownExecutable } from "./own-executable.ts";
import { findPeerMounts, findPeerMountsInTurns, isInNamespace, seesMount } from "./peer-mounts.ts";
import { outermostContainerOf, sightOf } from "./process-sight.ts";
import { processWatches } from "./process-watches.ts";
import { processStart } from "./processes.ts";
import { programNames } from "./program-names.ts";
import { findProgram, runWith, type StartProgram, startProgram } from "./programs.ts";
import { randomHex } from "./random.ts";
import { sealDirectory } from "./sealed-directory.ts";
import { makeStorageQuestions } from "./storage-questions.ts";

/** What a test may bring instead of the machine's own. */
export interface LinuxHostParts {
  readonly start?: StartProgram;
  readonly table?: () => readonly MountInfo[];
  readonly executable?: typeof ownExecutable;
}

/** See core/host.ts for what each member promises. */
export function linuxHost(parts: LinuxHostParts = {}): Host {
  const start = parts.start ?? startProgram;
  const table = parts.table ?? readMountTable;
  const looks = makeLooks();
  const questions = makeStorageQuestions({ start, table });
  const { assist } = makeAssist({ start, executable: parts.executable });
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    randomHex,
    run: runWith(start),
    findProgram,
    processStart,
    mounts: table,
    ...makeMounts({ start, table, isLookedAt: looks.isLookedAt }),
    ...makeHoldMounts({ start, table }),
    ...makeLayers(start),
    ...questions,
    askStorage: (directory, operation, also) =>
      looks.during(directory, () => questions.askStorage(directory, operation, also)),
    assist: (request, operation) =>
      looks.during(request.directory, () => assist(request, operation)),
    ...keptProcesses,
    abortFuse,
    seal: sealDirectory,
    dataSpans,
    peerMounts: findPeerMounts,
    peerMountsInTurns: findPeerMountsInTurns,
    mountsWhere: findMountsWhere,
    mountsBelow: (directories) => findMountsBelow(directories, table),
    programOf: programNames(),
    containerOf: outermostContainerOf,
    watchProcess: processWatches(),
    seesMount,
    isInNamespace,
    sitsBelow,
    watchWrites,
    writeWatchCountMax,
    pathOfWritten,
    isMountPoint: (directory) =>
      (parts.table === undefined ? isMountPoint(directory) : undefined) ??
      table().some(({ target }) => target === directory),
    sightOf,
    own: ownDirectory,
  };
}
