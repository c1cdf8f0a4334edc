// The key that all secrets are sealed with: a file of its own, away from the data that it opens.
//
// One line: `holdfast-secret-key-1:` and 32 random bytes in base64. A copy of the data root opens
// nothing without it, and a backup of it opens nothing without the root.
import { createHmac, randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { EngineError, isErrno, messageOf, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { makeDirectory, readPlain, syncDirectory, writeNew } from "./durable-file.ts";

const KEY_BYTES = 32;
const KEY_FILE_BYTES_MAX = 4_096;
const PREFIX = "holdfast-secret-key-1:";
/** Of a directory that is made for it: what else is there may be the configuration. */
const DIRECTORY_MODE = 0o755;
/** What group and others must not have. */
const OTHERS_BITS = 0o077;
const ID_CHARACTERS = 16;

export interface SecretKey {
  readonly bytes: Uint8Array;
  /** Tells keys apart and says nothing of the key: 16 hex digits. */
  readonly id: string;
}

export class KeyFile {
  readonly path: string;
  readonly #root: string;
  readonly #host: Pick<Host, "randomHex">;

  /** `root`: the data root, in which no key may lie. Both absolute. */
  constructor(parts: {
    readonly path: string;
    readonly root: string;
    readonly host: Pick<Host, "randomHex">;
  }) {
    this.path = parts.path;
    this.#root = parts.root;
    this.#host = parts.host;
  }

  /**
   * The key; undefined: there is no file. Asked for at each use, so that a file that was put back
   * is the key from then on. Throws `secret.unreadable` for a file that is no key, that others may
   * read, or that lies in the data root.
   */
  read(): SecretKey | undefined {
    try {
      // A link is followed, as to a mounted token; what it leads to is held against the rules.
      const real = fs.realpathSync(this.path);
      this.#refuseInside(real);
      const { mode, uid } = fs.statSync(real);
      const own = process.getuid?.() ?? 0;
      if (uid !== own && uid !== 0) throw this.#refusal("it belongs to another user");
      if ((mode & OTHERS_BITS) !== 0) {
        const shown = (mode & 0o777).toString(8).padStart(4, "0");
        throw this.#refusal(`others may use it (mode ${shown}): run chmod 600 ${this.path}`);
      }
      return this.#parse(readPlain(real, KEY_FILE_BYTES_MAX));
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      if (error instanceof EngineError && error.code === "secret.unreadable") throw error;
      throw this.#refusal(messageOf(error), error);
    }
  }

  /**
   * Makes a key, on disk when it resolves. Where somebody was quicker, theirs is the key. Throws
   * `secret.unreadable`, `storage.*`, `host.denied`.
   */
  async make(): Promise<SecretKey> {
    const directory = path.dirname(this.path);
    const unlinked = `${this.path}.${this.#host.randomHex(8)}.new`;
    try {
      await makeDirectory(directory, DIRECTORY_MODE);
      this.#refuseInside(path.join(fs.realpathSync(directory), path.basename(this.path)));
      await writeNew(unlinked, `${PREFIX}${randomBytes(KEY_BYTES).toString("base64")}\n`);
      try {
        // A link, because a rename would replace a key that came meanwhile.
        fs.linkSync(unlinked, this.path);
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      } finally {
        fs.rmSync(unlinked, { force: true });
      }
      await syncDirectory(directory);
    } catch (error) {
      throw storageError(error, `making the key of the secrets, ${this.path}`);
    }
    const key = this.read();
    if (key === undefined) throw this.#refusal("it was there a moment ago, and is gone");
    return key;
  }

  #parse(text: string): SecretKey {
    const body = text.trimEnd();
    const encoded = body.startsWith(PREFIX) ? body.slice(PREFIX.length) : "";
    const bytes = Buffer.from(encoded, "base64");
    if (bytes.length !== KEY_BYTES || bytes.toString("base64") !== encoded) {
      throw this.#refusal(`it is not ${PREFIX} and ${KEY_BYTES} bytes in base64`);
    }
    const digest = createHmac("sha256", bytes).update("holdfast secret key id").digest("hex");
    return { bytes, id: digest.slice(0, ID_CHARACTERS) };
  }

  #refuseInside(real: string): void {
    const root = fs.realpathSync(this.#root);
    if (real !== root && !real.startsWith(`${root}/`)) return;
    throw this.#refusal(`it lies in the data root ${this.#root}: whoever copies that has both`);
  }

  #refusal(why: string, cause?: unknown): EngineError {
    return new EngineError("secret.unreadable", `the key file ${this.path} is refused: ${why}`, {
      cause,
      details: { key: this.path },
    });
  }
}
