// Parsed, branded identifiers: who holds one of these types need not check it again.
import { EngineError } from "./errors.ts";

declare const brand: unique symbol;
type Branded<Kind extends string> = string & { readonly [brand]: Kind };

/**
 * A volume's name: 2 to 255 bytes of Docker's alphabet (`parseVolumeName`). Safe as one path
 * segment.
 */
export type VolumeName = Branded<"VolumeName">;
/** A driver's canonical name, for example `local`. 1 to 255 bytes. */
export type DriverName = Branded<"DriverName">;
/** Whoever keeps a mount, as the caller names it (Docker sends 64 hex digits). 1 to 255 bytes. */
export type HolderId = Branded<"HolderId">;
/** A snapshot's name: the alphabet of volume names. */
export type SnapshotName = Branded<"SnapshotName">;
/** The id under which a removed volume lies in the trash: `t-` and 16 lower-case hex digits. */
export type TrashId = Branded<"TrashId">;
/** The id of one request, from socket to disk: it stands in every log line and history row. */
export type OperationId = Branded<"OperationId">;

/** Longest name in bytes: one path segment of every Linux file system. */
export const NAME_BYTES_MAX = 255;

const volumeNamePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const trashIdPattern = /^t-[0-9a-f]{16}$/;
const snapshotNamePattern = volumeNamePattern;

/**
 * Docker's rule for names of the `local` driver, which is ours for all drivers, with Docker's
 * texts. Deviation: a name of more than 255 bytes is `volume.name_invalid` (Docker: a failed mkdir
 * and a 500).
 */
export function parseVolumeName(text: string): VolumeName {
  if (text.length === 1) {
    throw new EngineError(
      "volume.name_invalid",
      "volume name is too short, names should be at least two alphanumeric characters",
      { details: { name: text } },
    );
  }
  // `$` would also match before a trailing newline in some dialects, not in this one.
  if (!volumeNamePattern.test(text)) {
    throw new EngineError(
      "volume.name_invalid",
      `${goQuote(text)} includes invalid characters for a local volume name, only ` +
        `"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, ` +
        "use absolute path",
      { details: { name: text } },
    );
  }
  if (text.length > NAME_BYTES_MAX) {
    throw new EngineError(
      "volume.name_invalid",
      `volume name is too long (${text.length} bytes), names should be at most ` +
        `${NAME_BYTES_MAX} bytes`,
      { details: { name: text } },
    );
  }
  return text as VolumeName;
}

/** Whether `parseVolumeName` would accept it. */
export function isVolumeName(text: string): boolean {
  return text.length <= NAME_BYTES_MAX && volumeNamePattern.test(text);
}

/** A driver's name as a caller gives it; whether such a driver exists is another question. */
export function parseDriverName(text: string): DriverName {
  return bounded("driver", text) as DriverName;
}

/** A holder's id as a caller gives it. */
export function parseHolderId(text: string): HolderId {
  return bounded("holder", text) as HolderId;
}

/** A snapshot's name, by the rule of volume names. */
export function parseSnapshotName(text: string): SnapshotName {
  if (!snapshotNamePattern.test(text) || text.length > NAME_BYTES_MAX) {
    throw new EngineError(
      "request.invalid",
      `snapshot ${goQuote(text)}: a name has 2 to ${NAME_BYTES_MAX} of [a-zA-Z0-9_.-] and ` +
        "begins with a letter or digit",
      { details: { field: "snapshot", value: text } },
    );
  }
  return text as SnapshotName;
}

/** A trash id, or undefined for anything else that lies in the trash directory. */
export function parseTrashId(text: string): TrashId | undefined {
  return trashIdPattern.test(text) ? (text as TrashId) : undefined;
}

/** A trash id from 8 random bytes in hex. */
export function makeTrashId(hex16: string): TrashId {
  const id = parseTrashId(`t-${hex16}`);
  if (id === undefined) throw new TypeError(`not 16 hex digits: ${hex16}`);
  return id;
}

/** An operation's id; made by `Host`, so there is nothing to refuse. */
export function makeOperationId(text: string): OperationId {
  return text as OperationId;
}

function bounded(field: string, text: string): string {
  if (text.length === 0 || text.length > NAME_BYTES_MAX || hasControlCharacter(text)) {
    throw new EngineError(
      "request.invalid",
      `${field} ${goQuote(text)}: 1 to ${NAME_BYTES_MAX} printable characters are allowed`,
      { details: { field, value: text } },
    );
  }
  return text;
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

const goEscapes: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

/** Quotes like Go's `%q`, because Docker's texts carry names that way. */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const escaped = goEscapes[character];
    if (escaped !== undefined) quoted += escaped;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else quoted += character;
  }
  return `${quoted}"`;
}
