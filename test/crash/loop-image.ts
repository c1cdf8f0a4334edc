// File systems in image files: made, mounted through loop devices, and taken away again.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { runToEnd } from "../support/child.ts";

const programTimeoutMs = 60_000;
/** A process of the killed daemon may hold a file for a moment. */
const unmountAttempts = 100;
const unmountPauseMs = 20;

export type FileSystemType = "ext4" | "xfs" | "btrfs";

const mebibyte = 1024 * 1024;

/** The smallest that mkfs makes, with room for the tests, and options that make it quick. */
const makers: Readonly<
  Record<FileSystemType, { readonly bytes: number; readonly words: readonly string[] }>
> = {
  ext4: {
    bytes: 64 * mebibyte,
    words: ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
  },
  xfs: { bytes: 320 * mebibyte, words: ["-q", "-f"] },
  btrfs: { bytes: 256 * mebibyte, words: ["-q", "-f"] },
};

export interface ImageOptions {
  readonly image: string;
  readonly type: FileSystemType;
  readonly bytes?: number;
  /** Further words for mkfs, before the image. */
  readonly words?: readonly string[];
}

/** Makes a sparse image with a file system in it. */
export async function makeImage(options: ImageOptions): Promise<void> {
  const { image, type, words = [] } = options;
  const maker = makers[type];
  closeSync(openSync(image, "wx"));
  truncateSync(image, options.bytes ?? maker.bytes);
  await mustRun(`mkfs.${type}`, [...maker.words, ...words, image]);
}

/** Mounts an image; the loop device goes with the last unmount. */
export async function mountImage(
  image: string,
  target: string,
  type: FileSystemType,
): Promise<void> {
  mkdirSync(target, { recursive: true });
  // A copy has the identity of its original, which somebody's namespace may still hold.
  const options = type === "xfs" ? "loop,nouuid" : "loop";
  await mustRun("mount", ["-t", type, "-o", options, image, target]);
}

/**
 * Unmounts it and everything that is mounted below; waits for those who still use it. A mount
 * namespace that was made meanwhile can hold on to it for longer than anybody would wait.
 */
export async function unmountImage(target: string): Promise<void> {
  await unmountBelow(target);
  for (let attempt = 1; isMounted(target); attempt++) {
    const words = attempt > unmountAttempts ? ["--lazy", target] : [target];
    const { exit, stderr } = await runToEnd("umount", words, { timeoutMs: programTimeoutMs });
    if (exit === 0) continue;
    if (attempt > unmountAttempts) throw new Error(`umount ${target}: ${stderr}`);
    await delay(unmountPauseMs);
  }
}

/** What a load had mounted outlives every daemon. */
export async function unmountBelow(folder: string): Promise<void> {
  const below = mountPoints().filter((target) => target.startsWith(`${folder}/`));
  for (const target of below.reverse()) {
    await runToEnd("umount", ["--lazy", target], { timeoutMs: programTimeoutMs });
  }
}

/** A mounted image that is unmounted and removed when it is disposed of. */
export interface MountedImage extends AsyncDisposable {
  readonly path: string;
}

export async function mountedImage(
  folder: string,
  options: Omit<ImageOptions, "image">,
): Promise<MountedImage> {
  const image = `${folder}/disk.img`;
  const path = `${folder}/disk`;
  await makeImage({ ...options, image });
  await mountImage(image, path, options.type);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await unmountImage(path);
      rmSync(image, { force: true });
    },
  };
}

function isMounted(target: string): boolean {
  return mountPoints().includes(target);
}

/** In the order of mounting. The tests' own paths have nothing that the table would escape. */
function mountPoints(): readonly string[] {
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[1] ?? "");
}

export async function mustRun(program: string, words: readonly string[]): Promise<void> {
  const { exit, stderr } = await runToEnd(program, words, { timeoutMs: programTimeoutMs });
  if (exit !== 0) throw new Error(`${program} ${words.join(" ")} ended with ${exit}: ${stderr}`);
}
