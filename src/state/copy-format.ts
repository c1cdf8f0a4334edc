// The automatic copy as text: a header, a line for each entry, and the checksum of it all.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type {
  AliasEntry,
  HolderEntry,
  KnownEngine,
  RetiredEntry,
  VolumeEntry,
} from "../core/state-store.ts";
import {
  type AliasFields,
  aliasOfFields,
  engineOfFields,
  type HolderFields,
  holderOfFields,
  type RetiredFields,
  retiredOfFields,
  type VolumeFields,
  volumeOfFields,
} from "./rows.ts";

const COPY_FORMAT = "holdfast-state-copy";
/** What this program writes; it reads all older ones too. */
export const COPY_VERSION = 3;

/** Everything a copy holds: what the state remembers, without the history. */
export interface CopyContent {
  readonly copiedAtMs: number;
  /** How many changes the history had counted; of two states of one root the larger is newer. */
  readonly changeCount: number;
  readonly volumes: readonly VolumeEntry[];
  readonly holders: readonly HolderEntry[];
  readonly aliases: readonly AliasEntry[];
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
    aliasCount: content.aliases.length,
    retiredCount: content.retired.length,
    engineCount: content.engines.length,
  };
  yield `${JSON.stringify(header)}\n`;
  for (const volume of content.volumes) yield `${JSON.stringify({ volume })}\n`;
  for (const holder of content.holders) yield `${JSON.stringify({ holder })}\n`;
  for (const alias of content.aliases) yield `${JSON.stringify({ alias })}\n`;
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
  /** Not in versions 1 and 2. */
  readonly aliasCount?: number;
}

/** Older versions leave out what they did not know. */
type Known<Fields, More extends keyof Fields> = Omit<Fields, More> & Partial<Pick<Fields, More>>;

/** Version 3. */
type VolumeMore = "lastUse" | "note" | "protection";
type RetiredMore = "phase" | "removedBy" | "purgeAtMs" | "sizeBytes" | "aliases";

type Line =
  | { readonly volume: Known<VolumeFields, VolumeMore> }
  | { readonly holder: Known<HolderFields, "kind"> }
  | { readonly alias: AliasFields }
  | { readonly engine: KnownEngine }
  | {
      readonly retired: Known<Omit<RetiredFields, "volume">, RetiredMore> & {
        readonly volume: Known<VolumeFields, VolumeMore>;
      };
    };

function parseLines(path: string, lines: readonly string[]): CopyContent {
  const header = parseHeader(path, lines[0] ?? "{}");
  const { copiedAtMs, changeCount, version } = header;
  const volumes: VolumeEntry[] = [];
  const holders: HolderEntry[] = [];
  const aliases: AliasEntry[] = [];
  const retired: RetiredEntry[] = [];
  const engines: KnownEngine[] = [];
  for (const text of lines.slice(1)) {
    const line: Line = JSON.parse(text);
    if ("volume" in line) volumes.push(volumeOfFields(wholeVolume(version, line.volume)));
    else if ("holder" in line) holders.push(holderOfFields(wholeHolder(version, line.holder)));
    else if ("alias" in line) aliases.push(aliasOfFields(line.alias));
    else if ("engine" in line) engines.push(engineOfFields(line.engine));
    else retired.push(retiredOfFields(wholeRetired(version, line.retired)));
  }
  if (
    volumes.length !== header.volumeCount ||
    holders.length !== header.holderCount ||
    aliases.length !== header.aliasCount ||
    retired.length !== header.retiredCount ||
    engines.length !== header.engineCount
  ) {
    throw new Error(`${path}: the header counts other entries than the lines`);
  }
  return { copiedAtMs, changeCount, volumes, holders, aliases, retired, engines };
}

function parseHeader(path: string, line: string): Header {
  const header: Header = JSON.parse(line);
  const isKnown = header.version >= 1 && header.version <= COPY_VERSION;
  if (header.format !== COPY_FORMAT || !isKnown) {
    throw new Error(`${path}: format ${header.format} ${header.version} is not known here`);
  }
  return {
    ...header,
    ...(header.version < 2 && { engineCount: 0 }),
    ...(header.version < 3 && { aliasCount: 0 }),
  };
}

// What old versions leave out gets what the migration of a state gives it. What the version that
// knows it leaves out is damaged: the parsers of the fields refuse it.

function wholeVolume(version: number, fields: Known<VolumeFields, VolumeMore>): VolumeFields {
  const more = version < 3 ? { lastUse: null, note: null, protection: null } : {};
  // `as`: `volumeOfFields` refuses what is not there.
  return { ...fields, ...more } as VolumeFields;
}

function wholeHolder(version: number, fields: Known<HolderFields, "kind">): HolderFields {
  return { ...fields, kind: version < 2 ? "client" : (fields.kind ?? "") };
}

function wholeRetired(
  version: number,
  fields: Extract<Line, { retired: unknown }>["retired"],
): RetiredFields {
  const { retiredAtMs } = fields;
  const purging = { phase: "purging", removedBy: "", purgeAtMs: retiredAtMs };
  const more = version < 3 ? { ...purging, sizeBytes: null, aliases: [] } : {};
  // `as`: `retiredOfFields` refuses what is not there.
  return { ...fields, ...more, volume: wholeVolume(version, fields.volume) } as RetiredFields;
}
