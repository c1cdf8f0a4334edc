// Asks storage whether it answers, and takes away what never will: in programs, never ourselves.
import { EngineError } from "../core/errors.ts";
import type { Host, MountInfo, ProgramResult } from "../core/host.ts";
import type { StorageRoom } from "../core/storage-answer.ts";
import { topmostAt, trueTarget } from "./mount-table.ts";
import type { StartProgram } from "./programs.ts";
import { TargetPrograms } from "./target-programs.ts";

/** What stat(1) says of a file system that will never answer again, whoever waits. */
const goneWords = [
  "Transport endpoint is not connected",
  "Software caused connection abort",
  "Stale file handle",
  "No such device",
];

/** stat(1): block size, blocks, blocks for others than root, files, free files. */
const ROOM_FORMAT = "%S %b %a %c %d";

/** What some servers answer who cannot tell their free space (SFTP without statvfs): an answer. */
const answerWords = ["Operation not supported", "Function not implemented"];

/** More mounts than that are not stacked at one place. */
const STACKED_MAX = 64;

/** How often the mount table is looked at while a program takes a mount away, in milliseconds. */
const LOOK_AGAIN_MS = 10;

export interface StorageQuestionsParts {
  readonly start: StartProgram;
  readonly table: () => readonly MountInfo[];
}

/** The `askStorage` and `detach` of core/host.ts. */
export function makeStorageQuestions({
  start,
  table,
}: StorageQuestionsParts): Pick<Host, "askStorage" | "detach"> {
  const questions = new TargetPrograms(start);
  const ends = new TargetPrograms(start);

  /** Resolves when the mount is not in the table, or its program has said why not. */
  const detachOne = async (mount: MountInfo, signal: AbortSignal): Promise<void> => {
    const { target, mountId } = mount;
    const isThere = () => topmostAt(table(), target)?.mountId === mountId;
    // Helpers of mount(8) talk to the server: none is wanted. One program for each mount, however
    // long earlier ones at the same place wait.
    const words = ["--internal-only", "--lazy", "--no-canonicalize", "--", target];
    const result = ends.run(`${mountId} ${target}`, ["umount", ...words], signal);
    const timer = Promise.withResolvers<undefined>();
    const looking = setInterval(() => {
      if (!isThere()) timer.resolve(undefined);
    }, LOOK_AGAIN_MS);
    try {
      const ended = await Promise.race([result, timer.promise]);
      if (ended === undefined || !isThere()) return;
      throw unmountFailed(target, ended);
    } finally {
      clearInterval(looking);
      // It may wait for ever for what was not written; its outcome is in the table.
      result.catch(() => undefined);
    }
  };

  return {
    async askStorage(directory, { signal }, also = {}) {
      await questions.untilFree(directory, signal);
      const before = performance.now();
      const run = (...command: [string, ...string[]]) => questions.run(directory, command, signal);
      const stat = ["stat", "--file-system", `--format=${ROOM_FORMAT}`, "--", directory] as const;
      const { exitCode, stdout, stderr } = await run(...stat);
      const isAnswer = exitCode === 0 || answerWords.some((each) => stderr.includes(each));
      if (isAnswer) {
        const tookMs = performance.now() - before;
        const space = exitCode === 0 ? readRoom(stdout) : undefined;
        if (also.isWritable !== true) return { tookMs, space, isWritable: undefined };
        return { tookMs, space, isWritable: (await run("test", "-w", directory)).exitCode === 0 };
      }
      const words = lastPart(stderr) || `stat ended with status ${exitCode}`;
      const isGone = goneWords.some((each) => stderr.includes(each));
      throw new EngineError(
        "storage.failed",
        `${directory} does not answer as it should: ${words}`,
        {
          details: { directory, words, isGone },
        },
      );
    },

    async detach(asked, { signal }) {
      const target = trueTarget(asked);
      for (let count = 0; count < STACKED_MAX; count++) {
        const mount = topmostAt(table(), target);
        if (mount === undefined) return;
        signal.throwIfAborted();
        await detachOne(mount, signal);
      }
      throw unmountFailed(target, { exitCode: 1, stdout: "", stderr: "it is mounted anew" });
    },
  };
}

/** undefined: it is not as `ROOM_FORMAT` says. */
function readRoom(text: string): StorageRoom | undefined {
  const numbers = text.trim().split(" ").map(Number);
  const [blockBytes = Number.NaN, blocks = 0, available = 0, fileCount = 0, free = 0] = numbers;
  if (numbers.length !== 5 || !numbers.every((each) => each >= 0)) return undefined;
  const [sizeBytes, availableBytes] = [blockBytes * blocks, blockBytes * available];
  return { sizeBytes, availableBytes, fileCount, availableFileCount: free };
}

/** What stands behind the path in a message of coreutils. */
function lastPart(stderr: string): string {
  const line = stderr.trim().split("\n").at(-1) ?? "";
  return line.slice(line.lastIndexOf(": ") + 1).trim();
}

function unmountFailed(target: string, { stderr, exitCode }: ProgramResult): EngineError {
  const words = lastPart(stderr) || `umount ended with status ${exitCode}`;
  return new EngineError("volume.unmount_failed", `unmount ${target}: ${words}`, {
    details: { target, words },
  });
}
