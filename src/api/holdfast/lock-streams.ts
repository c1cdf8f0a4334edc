// Locks that are held by a connection: a stream of events, whose end is the end of the lock.
import { type EngineError, toEngineError } from "../../core/errors.ts";
import type { LockBond } from "../../core/lock.ts";
import type {
  GrantedLock,
  LockLease,
  LockRequest,
  LocksFace,
} from "../../engine/locks/locks-face.ts";
import type { StreamWriter } from "../../http/message.ts";
import { type Call, EventStream, invalid } from "./call.ts";
import type { LockRoom } from "./lock-room.ts";

/** How often a stream says that it is there, in milliseconds. */
const BEAT_MS = 5_000;

const resumed = ["mode", "ttl", "wait", "pid"] as const;

export interface HoldParts {
  readonly requestOf: (call: Call, bond: LockBond) => LockRequest;
  readonly grantedObject: (granted: GrantedLock) => object;
  readonly room: LockRoom;
}

/** The handler of `holdLock`. What is refused at once has its status; what is later, an event. */
export function holdStreams(locks: LocksFace, { requestOf, grantedObject, room }: HoldParts) {
  const beats = new Beats();
  return async (call: Call): Promise<EventStream> => {
    const id = call.body.text("id");
    const unfit = id === undefined ? undefined : resumed.find((each) => call.body.has(each));
    if (unfit !== undefined) throw invalid(unfit, true, "a lock that goes on has its own");
    const leave = id === undefined ? room.enter() : room.goOn();
    const { connectionClosed } = call.context.request;
    const hold = new Hold({ locks, grantedObject, beats, leave, connectionClosed });
    try {
      if (id === undefined) await hold.acquire(requestOf(call, "connection"), call);
      else hold.resume({ volume: call.path["name"] ?? "", lock: call.path["lock"] ?? "", id });
    } catch (thrown) {
      leave();
      throw thrown;
    }
    return new EventStream((writer) => hold.sendTo(writer));
  };
}

interface StreamParts {
  readonly locks: LocksFace;
  readonly grantedObject: HoldParts["grantedObject"];
  readonly beats: Beats;
  /** Gives the room of its connection back; may be called again. */
  readonly leave: () => void;
  readonly connectionClosed: AbortSignal;
}

/** One stream, from its request to its end. */
class Hold {
  readonly #locks: LocksFace;
  readonly #grantedObject: HoldParts["grantedObject"];
  readonly #beats: Beats;
  /** Its connection is free for something else. */
  readonly #leave: () => void;
  /** Fires when the client has gone. */
  readonly #gone = new AbortController();
  /** Events from before there was somebody to send them to. */
  readonly #kept: string[] = [];
  #writer: StreamWriter | undefined;
  #granted: GrantedLock | undefined;
  #hasEnded = false;

  constructor({ locks, grantedObject, beats, leave, connectionClosed }: StreamParts) {
    this.#locks = locks;
    this.#grantedObject = grantedObject;
    this.#beats = beats;
    this.#leave = leave;
    // There is no writer yet, and there may never be one.
    connectionClosed.addEventListener("abort", this.#onClosed, { once: true });
    if (connectionClosed.aborted) this.#onClosed();
  }

  /** Resolves when there is a first event. Rejects as `LocksFace.acquire` where there is none. */
  async acquire(request: LockRequest, { context }: Call): Promise<void> {
    const { promise: isQueued, resolve: queue } = Promise.withResolvers<void>();
    const queued = (place: number) => {
      this.#send("queued", { place });
      queue();
    };
    const lost = (reason: EngineError) => this.#end("lost", reason);
    const operation = { ...context.operation, signal: this.#gone.signal };
    const acquiring = this.#locks
      .acquire({ ...request, queued, lost }, operation)
      .then((granted) => this.#grant(granted));
    await Promise.race([acquiring, isQueued]);
    acquiring.catch((thrown: unknown) => this.#end("refused", toEngineError(thrown)));
  }

  /** Throws as `LocksFace.resume`. */
  resume(lease: LockLease): void {
    this.#grant(this.#locks.resume(lease, (reason) => this.#end("lost", reason)));
  }

  sendTo(writer: StreamWriter): void {
    this.#writer = writer;
    this.#beats.add(writer);
    writer.closed.addEventListener("abort", this.#onClosed, { once: true });
    for (const event of this.#kept.splice(0)) writer.write(event);
    if (this.#hasEnded) this.#endStream();
    if (writer.closed.aborted) this.#onClosed();
  }

  #grant(granted: GrantedLock): void {
    this.#granted = granted;
    if (this.#gone.signal.aborted) void this.#locks.leave(granted);
    else this.#send("granted", this.#grantedObject(granted));
  }

  readonly #onClosed = (): void => {
    this.#gone.abort();
    this.#hasEnded = true;
    this.#endStream();
    if (this.#granted !== undefined) void this.#locks.leave(this.#granted);
  };

  #end(event: "lost" | "refused", { code, message, recovery }: EngineError): void {
    if (this.#hasEnded) return;
    this.#send(event, { code, message, recovery });
    this.#hasEnded = true;
    this.#endStream();
  }

  /** What has ended hangs on nothing any more: a crowd that has gone costs no memory. */
  #endStream(): void {
    this.#leave();
    if (this.#writer === undefined) return;
    this.#beats.delete(this.#writer);
    this.#writer.end();
  }

  #send(event: string, data: object): void {
    if (this.#hasEnded) return;
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    if (this.#writer === undefined) this.#kept.push(text);
    else this.#writer.write(text);
  }
}

/** Comments to all streams, by one timer that runs while there is a stream. */
class Beats {
  readonly #writers = new Set<StreamWriter>();
  #timer: ReturnType<typeof setInterval> | undefined;

  add(writer: StreamWriter): void {
    this.#writers.add(writer);
    this.#timer ??= setInterval(this.#beat, BEAT_MS);
  }

  delete(writer: StreamWriter): void {
    this.#writers.delete(writer);
  }

  readonly #beat = (): void => {
    for (const writer of this.#writers) writer.write(": here\n\n");
    if (this.#writers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  };
}
