// renameat2(2): renames within open directories, and the exchange of two names in one step.
import { loadLibc, systemError } from "./libc.ts";

const signatures = {
  // The C libraries do not all have a name for it.
  syscall: { args: ["i64", "i64", "ptr", "i64", "ptr", "i64"], returns: "i64" },
} as const;

/** One of the older calls: each architecture numbers them for itself. */
const numbers: Readonly<Record<string, number>> = { x64: 316, arm64: 276 };

/** From <linux/fs.h>. "replace": as rename(2). */
const flags = { replace: 0, new: 1, exchange: 2 } as const;

/** A name within an open directory, whose descriptor may be one for its place only. */
export interface NameIn {
  readonly directory: number;
  readonly name: string;
}

let loaded: ReturnType<typeof loadLibc<typeof signatures>> | undefined;

/**
 * Both names are of the same file system. "new": the second must not exist (EEXIST). "exchange":
 * both must. EINVAL, ENOSYS or ENOTSUP: the storage cannot do the last two.
 */
export function renameAt(from: NameIn, to: NameIn, how: keyof typeof flags): void {
  loaded ??= loadLibc(signatures);
  const number = numbers[process.arch];
  if (number === undefined) throw new Error(`no renameat2 for ${process.arch}`);
  const [old, wanted] = [from, to].map(({ name }) => Buffer.from(`${name}\0`));
  if (old === undefined || wanted === undefined) throw new Error("two names are needed");
  const result = loaded.syscall(number, from.directory, old, to.directory, wanted, flags[how]);
  if (Number(result) !== 0) throw systemError("renameat2");
}
