// What `holdfast doctor` finds on a machine.

/**
 * "ok": as it should be. "note": worth knowing. "warning": something will not work, or not well.
 * "problem": Holdfast, or Docker because of it, does not work.
 */
export type Severity = "ok" | "note" | "warning" | "problem";

export interface Finding {
  readonly severity: Severity;
  /** What was looked at, in a word or two: stable, for scripts. */
  readonly about: string;
  /** What was found, in a sentence without its full stop. */
  readonly found: string;
  /** What to do about it; undefined where nothing is to be done. */
  readonly fix?: string | undefined;
}

export interface DoctorRequest {
  /** Where clients reach the daemon: an absolute path. */
  readonly apiSocket: string;
}

/**
 * Looks at everything once. Each look has a deadline: resolves within seconds, whatever hangs. What
 * could not be looked at is a finding. Changes nothing that stays.
 */
export type Doctor = (request: DoctorRequest) => Promise<readonly Finding[]>;
