// What is said of a failure: its kind, whether to try again, the way out.

/** Ten words for ever; edges (HTTP status, exit code, log level) translate kinds only. */
export type ErrorKind =
  | "invalid" // The request can never succeed as it stands.
  | "not_found"
  | "conflict" // The state forbids it now; another state would allow it.
  | "denied"
  | "unsupported" // This driver or host cannot do it at all.
  | "exhausted" // Space, quota, handles.
  | "unavailable" // A part we depend on does not answer.
  | "cancelled"
  | "corrupt" // Stored data is not what was stored. Never retried, always reported.
  | "internal"; // A bug in this program.

/** What a code means for whoever gets it. */
export interface ErrorEntry {
  readonly kind: ErrorKind;
  /** Whether the same call may succeed later without anything being changed by the caller. */
  readonly retry: boolean;
  /** What a person can do about it, in a sentence. */
  readonly recovery: string;
}
