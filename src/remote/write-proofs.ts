// Whether a server that answers takes writes, and has room for them.
//
// A server may become read-only at any time (an export, a disk that is remounted after an error),
// and most tools do not say so before somebody's write fails. What is known is kept for each mount.
import type { StorageHealth, StorageSpace } from "../core/driver.ts";
import { toEngineError } from "../core/errors.ts";
import type { Host, MountInfo } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import type { StorageAnswer, StorageRoom } from "../core/storage-answer.ts";
import { within } from "./limited.ts";
import { takeStep } from "./steps.ts";

/** access(2) is asked so often at most, in milliseconds. */
const ACCESS_EVERY_MS = 60_000;
/** A file is written so often at most: whoever watches the directory sees it. */
export const PROBE_EVERY_MS = 60 * 60_000;
/** What refused writes, or is suspected to, is tried so often: that leaves nothing behind. */
export const REFUSED_EVERY_MS = 60_000;

/** How long a probe may take, in milliseconds: with an answer before, below a check's deadline. */
const PROBE_MS_MAX = 1_500;
/** What takes longer to answer at all is not probed. */
const PROMPT_MS_MAX = 2_000;
/** Less is nothing: what is written needs more than its bytes. */
const FULL_BYTES = 64 * 1024;

export interface WriteQuestion {
  readonly directory: string;
  readonly mounted: Pick<MountInfo, "mountId" | "device">;
  /** See `RemoteKind.writeProof`. */
  readonly proof: "access" | "probe" | undefined;
  /** It took a file once: what it refuses now is no matter of users. */
  readonly hasTakenWrites: boolean;
}

interface Known {
  readonly mount: string;
  accessDueMs: number;
  isWritable: boolean;
  probeDueMs: number;
  /** Why writes are refused; undefined: they are not, as far as anybody knows. */
  refusal: string | undefined;
}

export class WriteProofs {
  readonly #host: Pick<Host, "assist" | "askStorage" | "monotonicMs" | "randomHex">;
  readonly #known = new Map<string, Known>();

  constructor(host: Pick<Host, "assist" | "askStorage" | "monotonicMs" | "randomHex">) {
    this.#host = host;
  }

  /** Nothing is mounted there. */
  forget(directory: string): void {
    this.#known.delete(directory);
  }

  /** A sign of life, as `Host.askStorage`, with what else is due to be asked. */
  async ask(question: WriteQuestion, operation: Operation): Promise<StorageAnswer> {
    const known = this.#knownOf(question);
    const isDue = question.proof === "access" && this.#host.monotonicMs() >= known.accessDueMs;
    if (!isDue) return await this.#host.askStorage(question.directory, operation);
    const also = { isWritable: true } as const;
    const answer = await this.#host.askStorage(question.directory, operation, also);
    known.accessDueMs = this.#host.monotonicMs() + ACCESS_EVERY_MS;
    if (answer.isWritable === true) {
      known.refusal = undefined;
      known.probeDueMs = Number.POSITIVE_INFINITY;
    } else if (answer.isWritable === false && known.isWritable) {
      // No leave may be a matter of users: root is nobody to many servers.
      known.probeDueMs = this.#host.monotonicMs();
    }
    known.isWritable = answer.isWritable !== false;
    return answer;
  }

  /**
   * Why writes are refused, probed where it is time for that; undefined: they are not. `tookMs` is
   * how long the storage took to answer just now.
   */
  async refusal(
    question: WriteQuestion,
    tookMs: number,
    operation: Operation,
  ): Promise<string | undefined> {
    const known = this.#knownOf(question);
    const isDue = this.#host.monotonicMs() >= known.probeDueMs && tookMs <= PROMPT_MS_MAX;
    if (question.proof === undefined || !isDue) return known.refusal;
    known.refusal = await this.#probe(question, operation);
    const everyMs = known.refusal === undefined ? PROBE_EVERY_MS : REFUSED_EVERY_MS;
    known.probeDueMs = this.#host.monotonicMs() + everyMs;
    return known.refusal;
  }

  #knownOf({ directory, mounted, proof }: WriteQuestion): Known {
    const mount = `${mounted.mountId} ${mounted.device}`;
    const known = this.#known.get(directory);
    if (known?.mount === mount) return known;
    const nowMs = this.#host.monotonicMs();
    // Where access(2) tells, a file is written only when it says no.
    const probeDueMs = proof === "access" ? Number.POSITIVE_INFINITY : nowMs + REFUSED_EVERY_MS;
    const fresh = { mount, accessDueMs: nowMs, isWritable: true, probeDueMs, refusal: undefined };
    this.#known.set(directory, fresh);
    return fresh;
  }

  async #probe(
    { directory, proof, hasTakenWrites }: WriteQuestion,
    operation: Operation,
  ): Promise<string | undefined> {
    const name = `.holdfast-probe-${this.#host.randomHex(8)}`;
    const limit = { limitMs: PROBE_MS_MAX, what: "a probe of the storage" };
    try {
      const step = { do: "probe", path: "", name } as const;
      await within(limit, operation, (inner) => takeStep(this.#host, directory, step, inner));
      return undefined;
    } catch (thrown) {
      operation.signal.throwIfAborted();
      const { code } = toEngineError(thrown);
      if (code === "storage.read_only") return "the server takes no writes";
      // SFTP and SMB have no other word for it. No room is told by its figures.
      const isRefused = code === "host.denied" && proof === "probe" && hasTakenWrites;
      return isRefused ? "the server takes no writes any more: permission denied" : undefined;
    }
  }
}

/** "degraded" where no room is left. */
export function fullHealth(
  space: StorageRoom | undefined,
): Pick<StorageHealth, "state" | "reason"> | undefined {
  if (space === undefined || space.sizeBytes === 0) return undefined;
  const { availableBytes, fileCount, availableFileCount } = space;
  if (availableBytes < FULL_BYTES) {
    return { state: "degraded", reason: `the server is full (${availableBytes} bytes left)` };
  }
  if (fileCount === 0 || availableFileCount > 0) return undefined;
  return { state: "degraded", reason: `the server is full (all ${fileCount} files)` };
}

export function spaceOf(space: StorageRoom | undefined): StorageSpace | undefined {
  if (space === undefined || space.sizeBytes === 0) return undefined;
  const { sizeBytes, availableBytes } = space;
  return { sizeBytes, availableBytes };
}
