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
  /** Why its value could not be read when that was last tried, in words; null: nothing is known. */
  readonly problem: string | null;
}

/** What was kept, and whether it took the place of another value. */
export interface PutRecord extends SecretRecord {
  readonly wasReplaced: boolean;
}

export interface SecretStore {
  /**
   * Keeps a value, durable when it resolves; when it refuses, the value before stays. Throws
   * `secret.exists` unless `mayReplace`, `secret.invalid` for a name that no volume could have and
   * a value that is empty or too large, and `secret.unreadable` where the key that the others need
   * is gone: no new key is made for a new secret then, only for one that is replaced.
   */
  put(
    name: string,
    value: SecretValue,
    how: { readonly mayReplace: boolean },
    operation: Operation,
  ): Promise<PutRecord>;
  /** All, sorted by name. Asks the disk for nothing. */
  list(): readonly SecretRecord[];
  /** Durable when it resolves. Removing what is not there throws `secret.not_found`. */
  remove(name: string, operation: Operation): Promise<void>;
  /**
   * Throws `secret.not_found`, and `secret.unreadable` where the key is gone, is another one or may
   * be read by others, and where the file is damaged.
   */
  read(name: string): Promise<SecretValue>;
}
