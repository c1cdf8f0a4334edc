// What lies beside removed data, so that it can be restored when everything else is lost.
import { RETIRED_DESCRIPTION_BYTES_MAX, type Retirement } from "../../core/driver.ts";
import { type ErrorCode, errorTable } from "../../core/error-table.ts";
import {
  type DriverName,
  isVolumeName,
  NAME_BYTES_MAX,
  type OperationId,
  parseTrashId,
  type TrashId,
  type VolumeName,
} from "../../core/names.ts";
import type { Caller } from "../../core/operation.ts";
import {
  type HistoryEntry,
  historyActions,
  type LastUse,
  LINE_LENGTH_MAX,
  type Protection,
  RETIRED_ALIASES_MAX,
  type RetiredEntry,
  type VolumeEntry,
  volumePhases,
} from "../../core/state-store.ts";
import {
  count,
  either,
  exactly,
  listOf,
  oneOf,
  orNull,
  type Shape,
  text,
  texts,
  timeMs,
} from "./shapes.ts";

/** How many changes of the volume's history it holds: the newest. */
export const DESCRIBED_HISTORY_COUNT_MAX = 100;

/** No path, program or id is longer, in characters. */
const TEXT_LENGTH_MAX = 8_192;

/** A removed volume, and the newest of what had happened to it, newest first. */
export interface DescribedRetired {
  readonly entry: RetiredEntry;
  readonly history: readonly HistoryEntry[];
}

/** JSON, at most `RETIRED_DESCRIPTION_BYTES_MAX`: of a history that is too long the newest. */
export function describeRetired({ entry, history }: DescribedRetired): string {
  let rows = history.slice(0, DESCRIBED_HISTORY_COUNT_MAX);
  for (;;) {
    const description = JSON.stringify({
      format: "holdfast-retired",
      version: 1,
      entry,
      history: rows,
    });
    const isShort = Buffer.byteLength(description) <= RETIRED_DESCRIPTION_BYTES_MAX;
    if (isShort || rows.length === 0) return description;
    rows = rows.slice(0, Math.floor(rows.length / 2));
  }
}

/** How it goes into the trash; its history is added later, in the background. */
export function retirementOf(entry: RetiredEntry): Retirement {
  return { id: entry.id, description: describeRetired({ entry, history: [] }) };
}

/** Undefined for whatever `describeRetired` would not have written. */
export function parseRetired(description: string): DescribedRetired | undefined {
  let value: unknown;
  try {
    value = JSON.parse(description);
  } catch {
    return undefined;
  }
  if (!isDescription(value)) return undefined;
  return { entry: value.entry, history: value.history };
}

const isVolume: Shape<VolumeName> = (value): value is VolumeName =>
  typeof value === "string" && isVolumeName(value);
const isDriver: Shape<DriverName> = (value): value is DriverName =>
  text(NAME_BYTES_MAX)(value) && value !== "";
const isTrash: Shape<TrashId> = (value): value is TrashId =>
  typeof value === "string" && parseTrashId(value) !== undefined;
const isOperation: Shape<OperationId> = (value): value is OperationId =>
  text(TEXT_LENGTH_MAX)(value);
const isCode: Shape<ErrorCode> = (value): value is ErrorCode =>
  typeof value === "string" && Object.hasOwn(errorTable, value);
const isLine = text(LINE_LENGTH_MAX);
const isText = text(TEXT_LENGTH_MAX);

const isEntry = exactly<RetiredEntry>({
  id: isTrash,
  volume: exactly<VolumeEntry>({
    name: isVolume,
    driver: isDriver,
    scope: oneOf("local", "global"),
    labels: orNull(texts),
    options: orNull(texts),
    createdAtMs: timeMs,
    origin: oneOf("made", "adopted"),
    phase: oneOf(...volumePhases),
    mountpoint: isText,
    identity: isText,
    usedAtMs: orNull(timeMs),
    lastUse: orNull(exactly<LastUse>({ atMs: timeMs, holder: isText })),
    note: orNull(isLine),
    protection: orNull(exactly<Protection>({ reason: isLine, sinceMs: timeMs, by: isText })),
  }),
  phase: oneOf("kept", "purging"),
  retiredAtMs: timeMs,
  removedBy: isText,
  purgeAtMs: orNull(timeMs),
  sizeBytes: orNull(count),
  aliases: listOf(isVolume, RETIRED_ALIASES_MAX),
});

const isCaller: Shape<Caller> = either(
  exactly<{ readonly kind: "system" }>({ kind: oneOf("system") }),
  exactly<Extract<Caller, { readonly kind: "process" }>>({
    kind: oneOf("process"),
    uid: count,
    gid: count,
    pid: count,
  }),
);

const isChange = exactly<HistoryEntry>({
  atMs: timeMs,
  action: oneOf(...historyActions),
  volume: isVolume,
  driver: isDriver,
  caller: isCaller,
  by: isText,
  subject: isLine,
  outcome: either(oneOf("done"), isCode),
  operation: isOperation,
});

interface Description extends DescribedRetired {
  readonly format: "holdfast-retired";
  readonly version: 1;
}

const isDescription = exactly<Description>({
  format: oneOf("holdfast-retired"),
  version: (value): value is 1 => value === 1,
  entry: isEntry,
  history: listOf(isChange, DESCRIBED_HISTORY_COUNT_MAX),
});
