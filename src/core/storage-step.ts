// What the helper `storage-step` is asked to do on storage, and what it answers (`Host.assist` in
// host.ts).

/** What is to be done. Paths are relative, without empty, `.` or `..` segments; "": the root. */
export type StorageStep =
  /**
   * Makes a directory, and those above it, each with the mark beside it. Those that are there are
   * let be, and lose their marks: what somebody else has in them is nobody's to destroy any more.
   */
  | { readonly do: "make"; readonly path: string; readonly mark: string | null }
  /** Undoes that: what is empty and was made. */
  | { readonly do: "unmake"; readonly made: readonly string[]; readonly mark: string }
  /** Writes a file, syncs it, reads it back, removes it unless it stays. `name` is its own. */
  | { readonly do: "probe"; readonly path: string; readonly name: string; readonly stays?: true }
  /** Removes one that stays. */
  | { readonly do: "unprobe"; readonly path: string; readonly name: string }
  /**
   * Removes a directory with all that is in it, if the mark beside it is this one; then those above
   * it with the same mark that are empty.
   */
  | { readonly do: "remove"; readonly path: string; readonly mark: string };

export interface StepOutcome {
  /** The directories that `make` has made, those above first. */
  readonly made?: readonly string[];
  /** Whether the mark was that one. */
  readonly isOurs?: boolean;
}
