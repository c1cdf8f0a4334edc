// A secret as it lies on disk: one line of JSON, its value sealed with AES-256-GCM.
//
// What stands in clear (name, key, times) is bound to the value: a file under another name, or with
// another time, does not open.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { EngineError } from "../core/errors.ts";
import { SECRET_BYTES_MAX, SecretValue } from "../core/secret-store.ts";
import type { SecretKey } from "./key-file.ts";

const FORMAT = 1;
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Longest file that is read: a value in base64, and what stands around it. */
export const SEALED_BYTES_MAX = 2 * SECRET_BYTES_MAX;

/** What is known of a value without the key. */
export interface Label {
  readonly name: string;
  /** `SecretKey.id`. */
  readonly keyId: string;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface Sealed extends Label {
  readonly nonce: Uint8Array;
  /** The value, encrypted, and the tag behind it. */
  readonly sealed: Uint8Array;
}

/** The text of a file. `label.keyId` must be the key's. */
export function seal(value: SecretValue, label: Label, key: SecretKey): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(label));
  const encrypted = Buffer.concat([cipher.update(value.reveal()), cipher.final()]);
  const { keyId, createdAtMs, updatedAtMs } = label;
  return `${JSON.stringify({
    ...{ format: FORMAT, key: keyId, createdAtMs, updatedAtMs },
    nonce: nonce.toString("base64"),
    sealed: Buffer.concat([encrypted, cipher.getAuthTag()]).toString("base64"),
  })}\n`;
}

/** Reads what stands in a file; undefined: it is damaged, or of a later Holdfast. */
export function parseSealed(name: string, text: string): Sealed | undefined {
  const fields = fieldsOf(text);
  const { format, key: keyId, createdAtMs, updatedAtMs } = fields;
  if (format !== FORMAT || typeof keyId !== "string" || !/^[0-9a-f]{16}$/.test(keyId)) {
    return undefined;
  }
  if (!isTime(createdAtMs) || !isTime(updatedAtMs)) return undefined;
  const [nonce, sealed] = [bytesOf(fields["nonce"]), bytesOf(fields["sealed"])];
  if (nonce.length !== NONCE_BYTES || sealed.length <= TAG_BYTES) return undefined;
  return { name, keyId, createdAtMs, updatedAtMs, nonce, sealed };
}

/** The value. Throws `secret.unreadable` for another key and for what was changed. */
export function open(file: Sealed, key: SecretKey, keyPath: string): SecretValue {
  const problem = otherKey(file, key.id, keyPath);
  if (problem !== undefined) throw unreadable(file.name, problem);
  try {
    const encrypted = file.sealed.subarray(0, -TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, key.bytes, file.nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(boundTo(file));
    decipher.setAuthTag(file.sealed.subarray(-TAG_BYTES));
    return new SecretValue(Buffer.concat([decipher.update(encrypted), decipher.final()]));
  } catch (error) {
    throw unreadable(file.name, DAMAGED, error);
  }
}

/** What is wrong with a file that says nothing, or does not open with its own key. */
export const DAMAGED = "its file is damaged";

/** Why a key does not open what another one has sealed; undefined: it is the same. */
export function otherKey({ keyId }: Label, id: string, keyPath: string): string | undefined {
  if (keyId === id) return undefined;
  return `it was sealed with the key ${keyId}, and ${keyPath} holds the key ${id}`;
}

export function unreadable(name: string, problem: string, cause?: unknown): EngineError {
  return new EngineError("secret.unreadable", `the secret ${name} cannot be read: ${problem}`, {
    cause,
    details: { secret: name },
  });
}

function boundTo({ name, keyId, createdAtMs, updatedAtMs }: Label): Uint8Array {
  const parts = ["holdfast secret", FORMAT, name, keyId, createdAtMs, updatedAtMs];
  return new TextEncoder().encode(JSON.stringify(parts));
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function bytesOf(value: unknown): Uint8Array {
  return typeof value === "string" ? Buffer.from(value, "base64") : new Uint8Array();
}
