// The limits of the HTTP server that do not depend on who assembles it, each with its unit.

/** Request line and header fields together, with all their line ends. */
export const HEAD_BYTES_MAX = 64 * 1024;

/** Header fields of one request. */
export const HEADER_COUNT_MAX = 100;

/** A method longer than this is not one that anybody registered. */
export const METHOD_CHARACTERS_MAX = 32;

/** The body of one request, unless the assembler of the server says otherwise. */
export const BODY_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;

/** Who sends a streamed body more slowly on the average, after the time of a body, is given up. */
export const BODY_BYTES_PER_SECOND_MIN = 1024;

/** One chunk-size line (with its extensions) or one trailer line of a chunked request body. */
export const CHUNK_LINE_BYTES_MAX = 4 * 1024;

/** All trailer lines of one chunked request body. */
export const TRAILER_BYTES_MAX = 16 * 1024;

/** Input that may wait behind a request in progress before the connection is no longer read. */
export const WAITING_INPUT_BYTES_MAX = 64 * 1024;

/**
 * Unfinished requests of all connections of one server together. A connection that holds more than
 * `HEAD_BYTES_MAX` when the sum is reached is answered 503.
 */
export const UNFINISHED_BYTES_MAX = 64 * 1024 * 1024;

/** Long answers are handed to the socket in slices of this size, each when the last is gone. */
export const OUTPUT_SLICE_BYTES = 64 * 1024;

/**
 * Long answers of all connections of one server together, each counted whole until its last byte is
 * on its way, and what streams have left unsent. Answers shorter than `OUTPUT_SLICE_BYTES` do not
 * count: a connection has one at most.
 */
export const UNSENT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Whose output has not moved for this many sweeps (one a second) is cut off when its room is
 * needed.
 */
export const STALLED_SWEEP_COUNT = 2;

/** Answers that were cut off, together, before their memory is worth a garbage collection. */
export const DROPPED_BYTES_MAX = 8 * 1024 * 1024;

/** Output that a reader of a stream may leave unsent before it is disconnected. */
export const STREAM_UNSENT_BYTES_MAX = 1024 * 1024;

/** Input that is read and thrown away after the last answer, so that its sender gets to read it. */
export const DISCARDED_BYTES_MAX = 16 * 1024 * 1024;

/** Connections over the limit that are still answered 503; further ones are just closed. */
export const REFUSED_CONNECTIONS_MAX = 64;
