// Secrets: what opens somebody else's storage. By name everywhere; the value is only ever revealed
// to the program that logs in with it.
import type { Operation } from "./operation.ts";

/** Largest secret in bytes: 64 KiB. */
export const SECRET_BYTES_MAX = 65_536;

/** A secret's value. Printed, logged or made JSON it is `****`. */
export class SecretValue {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The value itself: for a file of mode 0600 or a pipe, never for an argument or a message. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** As `reveal`, as UTF-8 text without the line's end behind it. */
  revealText(): string {
    return new TextDecoder().decode(this.#bytes).replace(/\r?\n$/, "");
  }

  toString(): string {
    return "****";
  }

  toJSON(): string {
    return "****";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "****";
  }
}

/** What everybody may know of a secret. */
export interface SecretRecord {
  /** As volume names. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** Of the last value. */
  readonly updatedAtMs: number;
}

export interface SecretStore {
  /**
   * Keeps a value, durable when it resolves. Throws `secret.exists` unless `mayReplace`, and
   * `secret.invalid` for a name that no volume could have and a value that is empty or too large.
   */
  put(
    name: string,
    value: SecretValue,
    how: { readonly mayReplace: boolean },
    operation: Operation,
  ): Promise<SecretRecord>;
  /** All, sorted by name. Asks the disk for nothing. */
  list(): readonly SecretRecord[];
  /** Removing what is not there throws `secret.not_found`. */
  remove(name: string, operation: Operation): Promise<void>;
  /** Throws `secret.not_found`, `secret.unreadable` (the key is gone, or the file is damaged). */
  read(name: string): Promise<SecretValue>;
}
