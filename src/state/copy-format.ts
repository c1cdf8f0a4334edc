// The automatic copy as text: a header, a line for each entry, and the checksum of it all.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseTrashId } from "../core/names.ts";
import type { HolderEntry, KnownEngine, RetiredEntry, VolumeEntry } from "../core/state-store.ts";
import {
  engineOfFields,
  type HolderFields,
  holderOfFields,
  type VolumeFields,
  volumeOfFields,
} from "./rows.ts";

const COPY_FORMAT = "holdfast-state-copy";
/** What this program writes; it reads all older ones too. */
export const COPY_VERSION = 2;

/** Everything a copy holds: what the state remembers, without the history. */
export interface CopyContent {
  readonly copiedAtMs: number;
  /** How many changes the history had counted; of two states of one root the larger is newer. */
  readonly changeCount: number;
  readonly volumes: readonly VolumeEntry[];
  readonly holders: readonly HolderEntry[];
  readonly retired: readonly RetiredEntry[];
  readonly engines: readonly KnownEngine[];
}

/** The lines before the checksum, each with its newline. */
export function* copyLines(content: CopyContent): Generator<string> {
  const header = {
    format: COPY_FORMAT,
    version: COPY_VERSION,
    copiedAtMs: content.copiedAtMs,
    changeCount: content.changeCount,
    volumeCount: content.volumes.length,
    holderCount: content.holders.length,
    retiredCount: content.retired.length,
    engineCount: content.engines.length,
  };
  yield `${JSON.stringify(header)}\n`;
  for (const volume of content.volumes) yield `${JSON.stringify({ volume })}\n`;
  for (const holder of content.holders) yield `${JSON.stringify({ holder })}\n`;
  for (const retired of content.retired) yield `${JSON.stringify({ retired })}\n`;
  for (const engine of content.engines) yield `${JSON.stringify({ engine })}\n`;
}

/** The last line, from the checksum in lower-case hex. */
export function sumLine(sha256: string): string {
  return `${JSON.stringify({ sha256 })}\n`;
}

/** Reads and proves a copy. Throws an `Error` that says why it cannot be used. */
export function readCopy(path: string): CopyContent {
  const bytes = readFileSync(path);
  // The checksum line has no newline inside; the one before it ends the proven part.
  const end = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
  const last = bytes.subarray(end).toString();
  const sha256 = createHash("sha256").update(bytes.subarray(0, end)).digest("hex");
  if (last !== sumLine(sha256)) throw new Error(`${path}: the checksum is wrong or missing`);
  const lines = bytes.subarray(0, end).toString().split("\n").slice(0, -1);
  return parseLines(path, lines);
}

interface Header {
  readonly format: string;
  readonly version: number;
  readonly copiedAtMs: number;
  readonly changeCount: number;
  readonly volumeCount: number;
  readonly holderCount: number;
  readonly retiredCount: number;
  /** Not in version 1. */
  readonly engineCount?: number;
}

type Line =
  | { readonly volume: VolumeFields }
  /** No kind in version 1. */
  | { readonly holder: Omit<HolderFields, "kind"> & Partial<Pick<HolderFields, "kind">> }
  | { readonly engine: KnownEngine }
  | {
      readonly retired: {
        readonly id: string;
        readonly volume: VolumeFields;
        readonly retiredAtMs: number;
      };
    };

function parseLines(path: string, lines: readonly string[]): CopyContent {
  const header = parseHeader(path, lines[0] ?? "{}");
  const volumes: VolumeEntry[] = [];
  const holders: HolderEntry[] = [];
  const retired: RetiredEntry[] = [];
  const engines: KnownEngine[] = [];
  // Version 1 knew clients only; later ones say it, and what does not is damaged.
  const kind = header.version === 1 ? "client" : "";
  for (const text of lines.slice(1)) {
    const line: Line = JSON.parse(text);
    if ("volume" in line) volumes.push(volumeOfFields(line.volume));
    else if ("holder" in line) holders.push(holderOfFields({ kind, ...line.holder }));
    else if ("engine" in line) engines.push(engineOfFields(line.engine));
    else retired.push(retiredOfFields(line.retired));
  }
  const { copiedAtMs, changeCount, volumeCount, holderCount, retiredCount } = header;
  if (
    volumes.length !== volumeCount ||
    holders.length !== holderCount ||
    retired.length !== retiredCount ||
    engines.length !== header.engineCount
  ) {
    throw new Error(`${path}: the header counts other entries than the lines`);
  }
  return { copiedAtMs, changeCount, volumes, holders, retired, engines };
}

function parseHeader(path: string, line: string): Header {
  const header: Header = JSON.parse(line);
  const isKnown = header.version >= 1 && header.version <= COPY_VERSION;
  if (header.format !== COPY_FORMAT || !isKnown) {
    throw new Error(`${path}: format ${header.format} ${header.version} is not known here`);
  }
  return header.version === 1 ? { ...header, engineCount: 0 } : header;
}

function retiredOfFields(fields: Extract<Line, { retired: unknown }>["retired"]): RetiredEntry {
  const id = parseTrashId(fields.id);
  if (id === undefined) throw new Error(`no trash id: ${fields.id}`);
  return { id, retiredAtMs: fields.retiredAtMs, volume: volumeOfFields(fields.volume) };
}
