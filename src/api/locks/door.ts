// Who connects to the containers' socket: known from the first moment, counted, or turned away.
import { EngineError } from "../../core/errors.ts";
import type { Host, KeptProcess } from "../../core/host.ts";
import type { InsideCaller, LockSight } from "../../engine/lock-sight.ts";
import type { Peer } from "../../http/message.ts";
import type { Counts } from "../counts.ts";
import type { Shares } from "./shares.ts";

/** A process that connects again and again is looked at once in so many milliseconds. */
const KEPT_MS = 1_000;
const KEPT_COUNT_MAX = 1_024;

export interface DoorParts {
  readonly engine: { readonly lockSight: LockSight };
  readonly host: Pick<Host, "monotonicMs">;
  readonly counts?: Counts;
  readonly startOfPeer: (descriptor: number, pid: number) => string | undefined;
}

export class Door {
  readonly #parts: DoorParts;
  readonly #shares: Shares;
  readonly #processes = new WeakMap<Peer, KeptProcess>();
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
    const start = pid === 0 ? undefined : this.#parts.startOfPeer(descriptor, pid);
    if (peer !== undefined && start !== undefined) this.#processes.set(peer, { pid, start });
    const key = start === undefined ? undefined : this.#keyOf({ pid, start });
    const answer = this.#shares.connect(key);
    if (typeof answer === "string") {
      this.#refused.set(pid, answer);
      this.#parts.counts?.addError("lock.too_many");
    }
    return answer;
  }

  /** Throws `lock.no_volume` for one that was gone when it was told of. */
  processOf(peer: Peer | undefined): KeptProcess {
    const process = peer === undefined ? undefined : this.#processes.get(peer);
    if (process !== undefined) return process;
    throw new EngineError(
      "lock.no_volume",
      "this socket serves containers that have a volume of Holdfast, and who connected: it is gone",
    );
  }

  /** undefined: what it lacks is told with its first request. */
  #keyOf(process: KeptProcess): Pick<InsideCaller, "key"> | undefined {
    const word = `${process.pid} ${process.start}`;
    const known = this.#keys.get(word);
    if (known !== undefined) return known.value;
    try {
      const { key } = this.#parts.engine.lockSight.callerOf(process);
      this.#keys.set(word, { key });
      return { key };
    } catch {
      this.#keys.set(word, undefined);
      return undefined;
    }
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
