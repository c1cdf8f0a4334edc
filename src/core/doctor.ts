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

/** Where a daemon has what, as it says itself: absolute paths; null: it has none. */
export interface DaemonPlaces {
  /** Its data root, without symbolic links. */
  readonly root: string;
  /** The file with the key of the secrets, there or not. */
  readonly secretKey: string;
  readonly pluginSocket: string | null;
  /** Where containers find the socket for locks. */
  readonly lockDirectory: string | null;
}

export interface DoctorRequest {
  /** Where clients reach the daemon: an absolute path. */
  readonly apiSocket: string;
  /** Of the daemon that answers there; undefined: none does, and settings say where to look. */
  readonly places: DaemonPlaces | undefined;
}

/**
 * Looks at everything once. Each look has a deadline: resolves within seconds, whatever hangs. What
 * could not be looked at is a finding. Changes nothing that stays.
 */
export type Doctor = (request: DoctorRequest) => Promise<readonly Finding[]>;
