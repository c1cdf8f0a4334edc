// Sizes and ages as Docker's CLI writes them.

const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

function scale(bytes: number, base: number, units: readonly string[]): string {
  let value = bytes;
  let power = 0;
  while (value >= base && power < units.length - 1) {
    value /= base;
    power++;
  }
  return `${Number(value.toPrecision(4))}${units[power] ?? ""}`;
}

/** Four digits at most, powers of 1000: "123.5MB". */
export function humanSize(bytes: number): string {
  return scale(bytes, 1000, decimalUnits);
}

/** Four digits at most, powers of 1024: "3.815GiB". */
export function humanBinarySize(bytes: number): string {
  return scale(bytes, 1024, binaryUnits);
}

const hourMs = 3_600_000;
const dayHours = 24;

/** "5 minutes", "About an hour", "3 weeks". */
export function humanDuration(durationMs: number): string {
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.floor(durationMs / hourMs + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 2 * dayHours) return `${hours} hours`;
  if (hours < 2 * 7 * dayHours) return `${Math.floor(hours / dayHours)} days`;
  if (hours < 2 * 30 * dayHours) return `${Math.floor(hours / dayHours / 7)} weeks`;
  if (hours < 2 * 365 * dayHours) return `${Math.floor(hours / dayHours / 30)} months`;
  return `${Math.floor(durationMs / hourMs / dayHours / 365)} years`;
}

/** "2 minutes ago", of an instant as the API writes it. */
export function humanAgo(at: string, nowMs: number): string {
  return `${humanDuration(Math.max(0, nowMs - Date.parse(at)))} ago`;
}

/** "45s", "12m", "3h", "5d": for a column that has no room for more. */
export function shortDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1_000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 2 * dayHours ? `${hours}h` : `${Math.floor(hours / dayHours)}d`;
}

const unitPowers = ["", "k", "m", "g", "t", "p"];

/** "10g" in bytes, undefined for what is no size; units are powers of 1024. */
export function parseBytes(text: string): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?$/i.exec(text);
  if (match === null) return undefined;
  const power = unitPowers.indexOf((match[2] ?? "").toLowerCase());
  return Math.trunc(Number(match[1]) * 1024 ** power);
}

const spanUnitsMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: hourMs,
  d: dayHours * hourMs,
  w: 7 * dayHours * hourMs,
};

/** "30d" in milliseconds, undefined for what is no span: a number with s, m, h, d or w. */
export function parseSpanMs(text: string): number | undefined {
  const match = /^([0-9]{1,7}(?:\.[0-9]{1,3})?)([smhdw])$/.exec(text);
  return match === null
    ? undefined
    : Math.trunc(Number(match[1]) * (spanUnitsMs[match[2] ?? ""] ?? 0));
}
