// What a test and the agent inside the client machine say to each other: JSON lines on a serial
// line.

/**
 * Longest request in bytes. The serial line of user-mode Linux stops for good when a sender is
 * faster than its 4 KiB buffer; answers may be long.
 */
export const AGENT_REQUEST_BYTES_MAX = 1_500;

/** The agent's first line, when the machine is up. */
export const AGENT_READY = "ready";

export type AgentRequest =
  /** Runs a program to its end; killed after `timeoutMs`. */
  | {
      readonly does: "run";
      readonly command: readonly string[];
      readonly timeoutMs: number;
    }
  /** Starts a program whose output goes to a file; answers its pid. */
  | { readonly does: "start"; readonly command: readonly string[]; readonly log: string }
  /** Waits for the end of what was started. */
  | { readonly does: "await"; readonly pid: number }
  | { readonly does: "signal"; readonly pid: number; readonly signal: "SIGTERM" | "SIGKILL" }
  /** One HTTP request to a Unix socket. */
  | {
      readonly does: "http";
      readonly socket: string;
      readonly method: string;
      readonly path: string;
      readonly body?: string;
      readonly timeoutMs: number;
    };

/** What became of it, and how long it took inside the machine, in milliseconds. */
export interface AgentAnswer {
  readonly tookMs: number;
  /** "run" and "await": the exit code, -1 after a signal. "http": the status. "start": the pid. */
  readonly code: number;
  /** Standard output, or the body. */
  readonly text: string;
  /** Standard error, or why there is no answer; then `code` is -1. */
  readonly errors: string;
}
