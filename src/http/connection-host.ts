// What a connection needs of its server: the handler, the limits, the coarse clock, shared counts.
import type { Connection } from "./connection.ts";
import type { Handler, HttpRequest, HttpResponse } from "./message.ts";
import type { OutputRoom } from "./output-room.ts";
import type { StreamsBody } from "./request-parser.ts";

/** How long each state may last, in milliseconds. */
export interface ConnectionTimeouts {
  /** Between two requests of a connection. */
  readonly idleMs: number;
  /** From the first byte of a request to the end of its head. */
  readonly headMs: number;
  /** From the end of the head to the end of the body; of a streamed one: to its next byte. */
  readonly bodyMs: number;
  /** A client takes none of the output that waits for it. */
  readonly stallMs: number;
  /** After the last answer, until the client closes. */
  readonly lingerMs: number;
}

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly handler: Handler;
  readonly onHandlerError: (error: unknown, request: HttpRequest) => HttpResponse;
  /** A bug in the server itself: the connection is destroyed. */
  readonly onServerError: (error: unknown) => void;
  readonly bodyBytesMax: number;
  readonly streamsBody: StreamsBody | undefined;
  readonly timeouts: ConnectionTimeouts;
  /** Coarse: the time of the last sweep. */
  nowMs: number;
  /** `Date: …` with its line end, as of the last sweep. */
  dateLine: string;
  isDraining: boolean;
  /** Sum over all connections, see `UNFINISHED_BYTES_MAX`. */
  unfinishedBytes: number;
  /** What the answers of all connections may take, see `UNSENT_BYTES_MAX`. */
  readonly room: OutputRoom;
  forget(connection: Connection): void;
}
