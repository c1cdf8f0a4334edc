// Keeps a lock that was taken: renews it, comes back to a daemon that was restarted, says when it
// is lost.
import { DaemonClient } from "./client.ts";
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { type GrantedLock, type LockPlace, leasePath } from "./lock-place.ts";
import { followLock, type HoldBody, type Refusal } from "./lock-stream.ts";
import type { Target } from "./target.ts";

/** How often it is renewed within the time that it lives. */
const RENEWALS_PER_LIFE = 3;

/** The pause before a daemon that does not answer is asked again, in milliseconds. */
const AGAIN_MS = 250;

/** How long a release may take, in milliseconds: the end of this process is one as well. */
const RELEASE_MS_MAX = 2_000;

/** A lock that we have. */
export interface HeldLock {
  readonly lock: GrantedLock;
  /** Fires when it is lost; its reason is a `Refusal`. */
  readonly lost: AbortSignal;
  /** Gives it back. Never throws: a daemon that does not answer frees it by itself. */
  release(): Promise<void>;
}

/** A stream that has been opened. */
export interface OpenStream {
  /** Rejects with `CliFailure` where it is refused, or the daemon does not answer. */
  readonly granted: Promise<GrantedLock>;
  /** After the grant: why the stream ended; undefined: only the connection did. Never rejects. */
  readonly ended: Promise<Refusal | undefined>;
  close(): void;
}

/** Opens a stream on a connection of its own. */
export function openStream(
  target: Target,
  place: LockPlace,
  { body, queued }: { readonly body: HoldBody; readonly queued?: (place: number) => void },
): OpenStream {
  const client = new DaemonClient(target);
  const granted = Promise.withResolvers<GrantedLock>();
  const ended = Promise.withResolvers<Refusal | undefined>();
  const stream = followLock(client, place, body, {
    queued: (at) => queued?.(at),
    granted: granted.resolve,
    lost: ended.resolve,
    refused: (refusal) => granted.reject(refusedBy(refusal)),
  });
  const finish = (error?: unknown): void => {
    const lost = new CliFailure("the daemon ended the connection before it gave the lock");
    granted.reject(error ?? lost);
    ended.resolve(undefined);
  };
  stream.then(() => finish(), finish);
  granted.promise.catch(() => undefined);
  return { granted: granted.promise, ended: ended.promise, close: () => client.close() };
}

/** A refusal in a stream is one like any other. */
function refusedBy({ code, message }: Refusal): DaemonRefusal {
  return new DaemonRefusal(409, message, { code });
}

interface Kept {
  readonly target: Target;
  readonly lock: GrantedLock;
  readonly stream: OpenStream;
  readonly ttlMs: number;
}

/** From now on the lock is kept, until it is lost or released. */
export function keepLock(kept: Kept): HeldLock {
  const keeper = new Keeper(kept);
  const { lock } = kept;
  return { lock, lost: keeper.lost, release: () => keeper.release() };
}

class Keeper {
  readonly #kept: Kept;
  /** Of a renewal: kept between two of them, it would be a second connection for each lock. */
  #client: DaemonClient | undefined;
  readonly #loss = new AbortController();
  #stream: OpenStream;
  #isOver = false;
  #expiry: Timer | undefined;
  #renewal: Timer | undefined;

  constructor(kept: Kept) {
    const { lock, stream, ttlMs } = kept;
    this.#kept = kept;
    this.#stream = stream;
    // Of the daemon's clock only that is needed: how much of its time is left at the grant.
    const leftMs = lock.expires === null ? ttlMs : Date.parse(lock.expires) - Date.now();
    this.#liveUntil(performance.now() + Math.min(ttlMs, leftMs));
    this.#renewIn(ttlMs / RENEWALS_PER_LIFE);
    void this.#watch();
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  async release(): Promise<void> {
    if (this.#isOver) return;
    // The stream's end is not to be taken for a daemon's.
    this.#isOver = true;
    clearTimeout(this.#renewal);
    const { target, lock } = this.#kept;
    const path = leasePath(lock, lock.id);
    // On a connection of its own: a renewal may be under way on the other one.
    const client = new DaemonClient(target, { silenceMs: RELEASE_MS_MAX });
    await client.send({ method: "DELETE", path }).catch(() => undefined);
    client.close();
    this.#end();
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#expiry);
    clearTimeout(this.#renewal);
    this.#stream.close();
    this.#client?.close();
  }

  #lose(refusal: Refusal): void {
    if (this.#isOver) return;
    this.#end();
    this.#loss.abort(refusal);
  }

  #liveUntil(untilMs: number): void {
    clearTimeout(this.#expiry);
    const message =
      "it could not be renewed in time: the daemon does not answer, or this process stood still";
    const expire = (): void => this.#lose({ code: "lock.expired", message });
    this.#expiry = setTimeout(expire, Math.max(0, untilMs - performance.now()));
  }

  #renewIn(ms: number): void {
    this.#renewal = setTimeout(() => void this.#renew(), ms);
  }

  async #renew(): Promise<void> {
    const { target, lock, ttlMs } = this.#kept;
    const sentMs = performance.now();
    const client = new DaemonClient(target, { silenceMs: ttlMs / RENEWALS_PER_LIFE });
    this.#client = client;
    try {
      const path = leasePath(lock, lock.id);
      await client.send({ method: "PUT", path, body: { ttl: ttlMs / 1_000 } });
      if (this.#isOver) return;
      this.#liveUntil(sentMs + ttlMs);
      this.#renewIn(ttlMs / RENEWALS_PER_LIFE);
    } catch (error) {
      if (this.#isOver) return;
      if (isFinal(error)) this.#lose(reasonOf(error));
      else this.#renewIn(AGAIN_MS);
    } finally {
      client.close();
    }
  }

  /** Goes from one stream to the next for as long as the lock is held. */
  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const refusal = await this.#stream.ended;
      if (refusal !== undefined) this.#lose(refusal);
      if (!this.#isOver) await this.#comeBack();
    }
  }

  async #comeBack(): Promise<void> {
    const { target, lock } = this.#kept;
    while (!this.#isOver) {
      await Bun.sleep(AGAIN_MS);
      if (this.#isOver) return;
      const next = openStream(target, lock, { body: { id: lock.id } });
      try {
        await next.granted;
        if (this.#isOver) return next.close();
        this.#stream = next;
        return;
      } catch (error) {
        next.close();
        if (isFinal(error)) this.#lose(reasonOf(error));
      }
    }
  }
}

/** Other refusals are of a daemon that starts or stops just now. */
function isFinal(error: unknown): error is DaemonRefusal {
  return error instanceof DaemonRefusal && (error.code?.startsWith("lock.") ?? false);
}

function reasonOf({ code = "", reason }: DaemonRefusal): Refusal {
  return { code, message: reason };
}
