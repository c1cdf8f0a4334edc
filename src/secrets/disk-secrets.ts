// The SecretStore on disk: `<root>/secrets/<name>`, one sealed file for each secret.
//
// A value is written into a new file, synced, and renamed into its place: whoever dies in between
// leaves the old value or the new one. Names, times and keys are in memory from the start on; a
// value is read when somebody logs in with it, and kept nowhere.
import fs from "node:fs";
import { EngineError, messageOf, storageError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { isVolumeName } from "../core/names.ts";
import type { Log, Operation } from "../core/operation.ts";
import {
  type PutRecord,
  SECRET_BYTES_MAX,
  type SecretRecord,
  type SecretStore,
  type SecretValue,
} from "../core/secret-store.ts";
import { makeDirectory, readPlain, syncDirectory, writeNew } from "./durable-file.ts";
import { KeyFile, type SecretKey } from "./key-file.ts";
import {
  DAMAGED,
  type Label,
  open,
  otherKey,
  parseSealed,
  SEALED_BYTES_MAX,
  type Sealed,
  seal,
  unreadable,
} from "./sealed.ts";

const DIRECTORY_MODE = 0o700;
/** No secret's name begins so. */
const NEW = ".new-";

export interface DiskSecretsParts {
  /** The data root; absolute, exists. */
  readonly root: string;
  /** Absolute, outside of the root. Made with the first secret. */
  readonly keyPath: string;
  readonly host: Pick<Host, "nowMs" | "randomHex">;
  readonly log: Log;
}

/** In memory: the label, where the file says one, and what is wrong. */
interface Known {
  readonly record: SecretRecord;
  /** undefined: the file is damaged. */
  readonly keyId: string | undefined;
}

/**
 * Reads what secrets there are. Damaged files and a key that is gone or refused are logged, and
 * stop nothing but the use of those secrets. Throws `storage.*`, `host.denied` where the directory
 * cannot be read.
 */
export function openSecrets(parts: DiskSecretsParts): SecretStore {
  return new DiskSecrets(parts);
}

class DiskSecrets implements SecretStore {
  readonly #directory: string;
  readonly #host: DiskSecretsParts["host"];
  readonly #key: KeyFile;
  readonly #known = new Map<string, Known>();
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ root, keyPath, host, log }: DiskSecretsParts) {
    this.#directory = `${root}/secrets`;
    this.#host = host;
    this.#key = new KeyFile({ path: keyPath, root, host });
    this.#look(log);
  }

  put(
    name: string,
    value: SecretValue,
    how: { readonly mayReplace: boolean },
    operation: Operation,
  ): Promise<PutRecord> {
    return this.#inTurn(async () => {
      operation.signal.throwIfAborted();
      checkName(name);
      checkSize(value);
      const before = this.#known.get(name);
      if (before !== undefined && !how.mayReplace) {
        throw new EngineError("secret.exists", `there is a secret ${name} already`, {
          details: { secret: name },
        });
      }
      const key = await this.#keyToSeal(before !== undefined, operation);
      const nowMs = this.#host.nowMs();
      const createdAtMs = before?.record.createdAtMs ?? nowMs;
      const label: Label = { name, keyId: key.id, createdAtMs, updatedAtMs: nowMs };
      await this.#write(name, seal(value, label, key));
      const record = { name, createdAtMs, updatedAtMs: nowMs, problem: null };
      this.#known.set(name, { record, keyId: key.id });
      this.#compare(key);
      return { ...record, wasReplaced: before !== undefined };
    });
  }

  list(): readonly SecretRecord[] {
    return [...this.#known.values()]
      .map(({ record }) => record)
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  remove(name: string, operation: Operation): Promise<void> {
    return this.#inTurn(async () => {
      operation.signal.throwIfAborted();
      if (!this.#known.has(name)) throw notFound(name);
      try {
        fs.rmSync(`${this.#directory}/${name}`, { force: true });
        this.#known.delete(name);
        await syncDirectory(this.#directory);
      } catch (error) {
        throw storageError(error, `removing the secret ${name}`);
      }
    });
  }

  async read(name: string): Promise<SecretValue> {
    const known = this.#known.get(name);
    if (known === undefined) throw notFound(name);
    try {
      const file = this.#file(name);
      const key = this.#key.read();
      if (key === undefined) throw unreadable(name, this.#keyIsGone());
      const value = open(file, key, this.#key.path);
      this.#note(name, null, file.keyId);
      return value;
    } catch (error) {
      this.#note(name, messageOf(error), known.keyId);
      throw error;
    }
  }

  /** What is there at the start, and what a dead daemon was writing. */
  #look(log: Log): void {
    let names: readonly string[] = [];
    try {
      names = fs.existsSync(this.#directory) ? fs.readdirSync(this.#directory) : [];
      for (const name of names.filter((each) => each.startsWith(NEW))) {
        fs.rmSync(`${this.#directory}/${name}`, { force: true });
      }
    } catch (error) {
      throw storageError(error, `listing ${this.#directory}`);
    }
    for (const name of names.filter(isVolumeName)) this.#learn(name);
    try {
      const key = this.#key.read();
      if (key !== undefined) this.#compare(key);
      else this.#noteAll(this.#keyIsGone());
    } catch (error) {
      this.#noteAll(messageOf(error));
    }
    for (const { name, problem } of this.list()) {
      if (problem !== null) log.warn("a secret cannot be read", { secret: name, reason: problem });
    }
  }

  #learn(name: string): void {
    try {
      const { keyId, createdAtMs, updatedAtMs } = this.#file(name);
      this.#known.set(name, { record: { name, createdAtMs, updatedAtMs, problem: null }, keyId });
    } catch (error) {
      const atMs = fs.lstatSync(`${this.#directory}/${name}`, { throwIfNoEntry: false })?.mtimeMs;
      const createdAtMs = Math.floor(atMs ?? 0);
      const problem = messageOf(error);
      const record = { name, createdAtMs, updatedAtMs: createdAtMs, problem };
      this.#known.set(name, { record, keyId: undefined });
    }
  }

  #file(name: string): Sealed {
    let text: string;
    try {
      text = readPlain(`${this.#directory}/${name}`, SEALED_BYTES_MAX);
    } catch (error) {
      throw unreadable(name, messageOf(error), error);
    }
    const file = parseSealed(name, text);
    if (file === undefined) throw unreadable(name, DAMAGED);
    return file;
  }

  /** Where the key is gone, a new one is made for the first secret and for one that is replaced. */
  async #keyToSeal(isReplacing: boolean, operation: Operation): Promise<SecretKey> {
    const key = this.#key.read();
    if (key !== undefined) return key;
    const sealed = [...this.#known.values()].filter(({ keyId }) => keyId !== undefined);
    if (sealed.length > 0 && !isReplacing) {
      throw new EngineError(
        "secret.unreadable",
        `${this.#keyIsGone()}, and ${sealed.length} secrets are sealed with it`,
        { details: { key: this.#key.path } },
      );
    }
    const made = await this.#key.make();
    const { log } = operation;
    log.warn("a new key for secrets was made", { key: made.id, file: this.#key.path });
    return made;
  }

  async #write(name: string, text: string): Promise<void> {
    const unnamed = `${this.#directory}/${NEW}${this.#host.randomHex(8)}`;
    try {
      await makeDirectory(this.#directory, DIRECTORY_MODE);
      await writeNew(unnamed, text);
      fs.renameSync(unnamed, `${this.#directory}/${name}`);
      await syncDirectory(this.#directory);
    } catch (error) {
      removeQuietly(unnamed);
      throw storageError(error, `writing the secret ${name}`);
    }
  }

  /** What this key does not open has a problem, and what had one for want of it has none. */
  #compare(key: SecretKey): void {
    for (const [name, { record, keyId }] of this.#known) {
      if (keyId === undefined) continue;
      const problem = otherKey({ ...record, keyId }, key.id, this.#key.path);
      this.#note(name, problem === undefined ? null : unreadable(name, problem).message, keyId);
    }
  }

  #noteAll(reason: string): void {
    for (const [name, { keyId }] of this.#known) {
      if (keyId !== undefined) this.#note(name, unreadable(name, reason).message, keyId);
    }
  }

  #note(name: string, problem: string | null, keyId: string | undefined): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    this.#known.set(name, { record: { ...known.record, problem }, keyId });
  }

  #keyIsGone(): string {
    return `the key file ${this.#key.path} is missing`;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function checkName(name: string): void {
  if (isVolumeName(name)) return;
  throw new EngineError(
    "secret.invalid",
    `the name of a secret ${JSON.stringify(name.slice(0, 100))}: 2 to 255 characters of ` +
      "[a-zA-Z0-9_.-] are needed, the first a letter or a digit",
    { details: { field: "name" } },
  );
}

function checkSize(value: SecretValue): void {
  const { length } = value.reveal();
  if (length > 0 && length <= SECRET_BYTES_MAX) return;
  throw new EngineError(
    "secret.invalid",
    length === 0
      ? "the secret is empty: a value of at least one byte is needed"
      : `the secret has ${length} bytes: at most ${SECRET_BYTES_MAX} are allowed`,
    { details: { field: "value" } },
  );
}

function notFound(name: string): EngineError {
  return new EngineError("secret.not_found", `there is no secret ${name.slice(0, 255)}`, {
    details: { secret: name.slice(0, 255) },
  });
}

/** After a failure that says more; the next start looks for it again. */
function removeQuietly(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {
    return;
  }
}
