// The limits of talking to registries, each with its unit.

/** Docker's own limit of manifests, in bytes. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;

/** The config of a plugin. */
export const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

/** The answer of a token server. */
export const TOKEN_ANSWER_BYTES_MAX = 1024 * 1024;

/** Of a refusal that is read for its text. */
export const REFUSAL_BYTES_MAX = 64 * 1024;

/** Of a registry's own words in a message. */
export const REFUSAL_CHARACTERS_MAX = 300;

/** Of a `WWW-Authenticate`. */
export const CHALLENGE_CHARACTERS_MAX = 8 * 1024;

export const REDIRECT_COUNT_MAX = 5;

/** Docker allows 127 layers of an image; plugins have one. */
export const LAYER_COUNT_MAX = 127;

/** All layers of a plugin together, as they are transferred. */
export const TOTAL_BYTES_MAX = 16 * 1024 * 1024 * 1024;

/** Layers that are transferred at once. */
export const PARALLEL_LAYERS = 3;

/** Attempts of one request that met a busy server or a connection that was cut. */
export const ATTEMPT_COUNT_MAX = 3;

/** Attempts of one layer without progress between them. */
export const STALLED_ATTEMPT_COUNT_MAX = 5;

/** An attempt that brought less is one without progress, unless it was the last of the layer. */
export const PROGRESS_BYTES_MIN = 64 * 1024;

/** A server's `Retry-After` is heeded up to here, in milliseconds. */
export const RETRY_AFTER_MS_MAX = 30_000;

/** Between two figures of one layer, in milliseconds: Docker's. */
export const PROGRESS_PAUSE_MS = 100;

/** How long anything may take, in milliseconds. Tests have shorter ones. */
export interface RegistryDeadlines {
  /** Name, connection and TLS. */
  readonly connectMs: number;
  /** Without a byte from the other side, while one is waited for. */
  readonly idleMs: number;
  /** A small answer from its request to its last byte. */
  readonly answerMs: number;
  /** In each such time a layer must bring `PROGRESS_BYTES_MIN`, or the connection is given up. */
  readonly paceMs: number;
  /** Before the second attempt; doubled before each further one. */
  readonly retryPauseMs: number;
}

export const registryDeadlines: RegistryDeadlines = {
  connectMs: 10_000,
  idleMs: 30_000,
  answerMs: 60_000,
  paceMs: 60_000,
  retryPauseMs: 500,
};
