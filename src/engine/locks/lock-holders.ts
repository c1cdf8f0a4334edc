// Who has a lock: what the kernel says of a process, and what it calls itself.
import type { Host } from "../../core/host.ts";
import { LOCK_LABEL_LENGTH_MAX, type LockHolder } from "../../core/lock.ts";
import { printableLine } from "../../core/printable.ts";

/** How old an answer of the kernel may be, in milliseconds: those who take many ask often. */
const AGE_MS_MAX = 1_000;
/** How many answers are kept. */
const KEPT_COUNT_MAX = 256;

interface Known {
  readonly program: string;
  readonly container: string | null;
  readonly readAtMs: number;
}

export class LockHolders {
  readonly #host: Pick<Host, "programOf" | "containerOf" | "monotonicMs">;
  readonly #known = new Map<number, Known>();

  constructor(host: Pick<Host, "programOf" | "containerOf" | "monotonicMs">) {
    this.#host = host;
  }

  /** Reads /proc at most once a second for each process. */
  of(pid: number, label: string): LockHolder {
    const { program, container } = this.#look(pid);
    return { pid, program, label: printableLine(label).slice(0, LOCK_LABEL_LENGTH_MAX), container };
  }

  #look(pid: number): Known {
    const known = this.#known.get(pid);
    const readAtMs = this.#host.monotonicMs();
    if (known !== undefined && readAtMs - known.readAtMs < AGE_MS_MAX) return known;
    const nobody = pid === 0;
    const program = nobody ? "" : printableLine(this.#host.programOf(pid));
    const container = nobody ? null : this.#host.containerOf(pid);
    const read: Known = { program, container, readAtMs };
    this.#known.delete(pid);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= KEPT_COUNT_MAX) this.#known.delete(oldest);
    this.#known.set(pid, read);
    return read;
  }
}

/** For messages: `rsync (process 4711 of container shop-db-1, nightly)`. */
export function holderText(
  { pid, program, label, container }: LockHolder,
  nameOf: (container: string) => string | undefined,
): string {
  const process = pid === 0 ? [] : [`process ${pid}`];
  const within =
    container === null ? [] : [`of container ${nameOf(container) ?? container.slice(0, 12)}`];
  const where = [...process, ...within].join(" ");
  const facts = [where, label].filter((each) => each !== "").join(", ");
  const who = program === "" ? "a process" : program;
  return facts === "" ? who : `${who} (${facts})`;
}
