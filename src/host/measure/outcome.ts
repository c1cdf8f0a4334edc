// What one measurement finds out, and how a refusal of the storage becomes an answer.
import { errnoOf, messageOf } from "../../core/errors.ts";
import type { Ability, Answer } from "../../core/volume-report.ts";
import type { FileCalls } from "../libc-files.ts";
import type { StorageCalls } from "../libc-storage.ts";
import type { Peer } from "./peer.ts";

export interface Outcome {
  readonly answer: Answer;
  readonly value: string;
  readonly figure?: number;
  readonly detail?: string;
}

/** Where measurements work, and with what. */
export interface Bench {
  /** Absolute, as this process sees it: a new directory of our own on the storage. */
  readonly directory: string;
  /** Inside of `directory`. */
  at(name: string): string;
  readonly isQuick: boolean;
  readonly isRoot: boolean;
  /** As the kernel names the file system; "" when it cannot be told. */
  readonly fileSystem: string;
  readonly files: FileCalls;
  readonly calls: StorageCalls;
  /** The second process, on the same mount. */
  peer(): Promise<Peer>;
  /** The second process on another client's mount; undefined: there is none. */
  elsewhere(): Promise<PeerElsewhere | undefined>;
}

export interface PeerElsewhere {
  readonly peer: Peer;
  /** Inside of the directory, as that process sees it. */
  at(name: string): string;
}

/** One thing that is found out by trying it. What it throws is made an answer. */
export type Measure = (bench: Bench) => Outcome | Promise<Outcome>;

export type Measures = Partial<Readonly<Record<Ability, Measure>>>;

export const yes = (value = "yes", detail = ""): Outcome => ({ answer: "yes", value, detail });
export const no = (value = "no", detail = ""): Outcome => ({ answer: "no", value, detail });
export const unknown = (detail: string): Outcome => ({
  answer: "unknown",
  value: "unknown",
  detail,
});

/** Says that the storage, or its kind of mount, does not have it. Anything else tells nothing. */
const refusals: ReadonlySet<string> = new Set([
  ...["EOPNOTSUPP", "ENOTSUP", "ENOSYS", "ENOTTY", "EPERM", "EINVAL", "EMLINK", "ENOLCK"],
  ...["EFBIG", "EOVERFLOW", "EILSEQ", "ENAMETOOLONG", "EROFS", "ENODEV", "ENODATA"],
]);

/**
 * The outcome of a measurement that threw. `writePlainly` throws where the storage fails at
 * anything: rclone's mounts say EIO to all that they do not have.
 */
export function outcomeOf(thrown: unknown, writePlainly: () => void): Outcome {
  const code = errnoOf(thrown);
  if (code === "EIO" && succeeds(writePlainly)) return no("no", "refused with EIO");
  if (refusals.has(code)) return no("no", `refused with ${code}`);
  return unknown(code === "" ? messageOf(thrown) : `the try failed with ${code}`);
}

function succeeds(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

export function withErrorCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** As C takes it. */
export function pathBytes(path: string): Uint8Array {
  return Buffer.from(`${path}\0`);
}
