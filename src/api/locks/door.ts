// Who connects to the containers' socket: known from the first moment, counted, or turned away.
import { EngineError } from "../../core/errors.ts";
import type { Host, KeptProcess } from "../../core/host.ts";
import type { InsideCaller, LockSight } from "../../engine/locks/lock-sight.ts";
import type { Peer } from "../../http/message.ts";
import type { Counts } from "../counts.ts";
import { type Shares, STRANGERS } from "./shares.ts";

/** A process that connects again and again is looked at once in so many milliseconds. */
const KEPT_MS = 1_000;
const KEPT_COUNT_MAX = 1_024;

const spentWords = "too many requests: what this container has asked for has cost too much time";

export interface DoorParts {
  readonly engine: { readonly lockSight: LockSight };
  readonly host: Pick<Host, "monotonicMs" | "containerOf">;
  readonly counts?: Counts;
  readonly startOfPeer: (descriptor: number, pid: number) => string | undefined;
}

/** A connection, as it came in. */
interface Comer {
  readonly process: KeptProcess;
  /** Whose share it is in. */
  readonly key: string;
}

export class Door {
  readonly #parts: DoorParts;
  readonly #shares: Shares;
  readonly #comers = new WeakMap<Peer, Comer>();
  readonly #keys: Recent<Pick<InsideCaller, "key"> | undefined>;
  readonly #refused: Recent<string>;

  constructor(parts: DoorParts, shares: Shares) {
    this.#parts = parts;
    this.#shares = shares;
    this.#keys = new Recent(parts.host);
    this.#refused = new Recent(parts.host);
  }

  /** See `HttpServerParts.admit`. */
  admit(peer: Peer | undefined, descriptor: number): (() => void) | string {
    const pid = peer?.pid ?? 0;
    // Whoever is turned away comes again at once, a thousand times: that must cost next to nothing.
    const again = this.#refused.get(pid);
    if (again !== undefined) return again.value;
    const answer = this.#isSpent(pid) ? spentWords : this.#letIn(peer, descriptor);
    if (typeof answer === "string") {
      this.#refused.set(pid, answer);
      this.#parts.counts?.addError("lock.too_many");
    }
    return answer;
  }

  /** By what a connection's requests are counted: "" for strangers. */
  keyOf(peer: Peer | undefined): string {
    return (peer === undefined ? undefined : this.#comers.get(peer)?.key) ?? STRANGERS;
  }

  /** Throws `lock.no_volume` for one that was gone when it was told of. */
  processOf(peer: Peer | undefined): KeptProcess {
    const comer = peer === undefined ? undefined : this.#comers.get(peer);
    if (comer !== undefined) return comer.process;
    throw new EngineError(
      "lock.no_volume",
      "this socket serves containers that have a volume of Holdfast, and who connected: it is gone",
    );
  }

  #letIn(peer: Peer | undefined, descriptor: number): (() => void) | string {
    const pid = peer?.pid ?? 0;
    const start = pid === 0 ? undefined : this.#parts.startOfPeer(descriptor, pid);
    if (start === undefined) return this.#shares.connect(undefined);
    const caller = this.#keyOf({ pid, start });
    if (peer !== undefined) {
      this.#comers.set(peer, { process: { pid, start }, key: caller?.key ?? STRANGERS });
    }
    return this.#shares.connect(caller);
  }

  /** A look at all that a process has costs more than one at its control group. */
  #isSpent(pid: number): boolean {
    const container = pid === 0 ? null : this.#parts.host.containerOf(pid);
    return container !== null && this.#shares.isSpent(container);
  }

  /** undefined: what it lacks is told with its first request. */
  #keyOf(process: KeptProcess): Pick<InsideCaller, "key"> | undefined {
    const word = `${process.pid} ${process.start}`;
    const known = this.#keys.get(word);
    if (known !== undefined) return known.value;
    const { host, engine } = this.#parts;
    const startedMs = host.monotonicMs();
    let found: Pick<InsideCaller, "key"> | undefined;
    try {
      found = { key: engine.lockSight.callerOf(process).key };
    } catch {
      // It has no volume, or is gone.
    }
    this.#keys.set(word, found);
    const payer = found?.key ?? host.containerOf(process.pid);
    if (payer !== null) this.#shares.charge(payer, host.monotonicMs() - startedMs);
    return found;
  }
}

/** What was found lately, each for `KEPT_MS`, and not without end. */
class Recent<Value> {
  readonly #host: Pick<Host, "monotonicMs">;
  readonly #known = new Map<string | number, { readonly value: Value; readonly atMs: number }>();

  constructor(host: Pick<Host, "monotonicMs">) {
    this.#host = host;
  }

  get(name: string | number): { readonly value: Value } | undefined {
    const known = this.#known.get(name);
    return known !== undefined && this.#host.monotonicMs() - known.atMs < KEPT_MS
      ? known
      : undefined;
  }

  set(name: string | number, value: Value): void {
    this.#known.delete(name);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= KEPT_COUNT_MAX) this.#known.delete(oldest);
    this.#known.set(name, { value, atMs: this.#host.monotonicMs() });
  }
}
