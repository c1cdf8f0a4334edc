// Points in time for --since and --until: "10m", a date, or seconds since 1970.
import { CliFailure } from "./failure.ts";

const unitNanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's durations: "1h30m", "1.5s". In milliseconds, or undefined. */
function parseDurationMs(text: string): number | undefined {
  const match = /^([+-]?)((?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+|0)$/.exec(text);
  if (match === null) return undefined;
  let nanoseconds = 0;
  for (const part of (match[2] ?? "").matchAll(/([0-9.]+)(ns|us|µs|ms|s|m|h)/g)) {
    nanoseconds += Number(part[1]) * (unitNanoseconds[part[2] ?? ""] ?? 0);
  }
  return (match[1] === "-" ? -nanoseconds : nanoseconds) / 1e6;
}

function seconds(ms: number, fraction = ""): string {
  return `${Math.floor(ms / 1000)}.${fraction.padEnd(9, "0").slice(0, 9)}`;
}

/** Day, time, fraction of a second, zone; all but the day may be missing. */
const datePattern = new RegExp(
  [
    /^([0-9]{4}-[0-9]{2}-[0-9]{2})/,
    /(?:T([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,9}))?)?/,
    /(Z|[+-][0-9]{2}:[0-9]{2})?$/,
  ]
    .map((part) => part.source)
    .join(""),
);

/**
 * What the daemon takes: seconds since 1970 with nanoseconds behind a point. A time without a zone
 * is meant in the zone of this process. Throws `CliFailure` for anything else.
 */
export function toDaemonTime(text: string, nowMs: number): string {
  if (/^-?[0-9]+(?:\.[0-9]{1,9})?$/.test(text)) return text;
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined) return String(Math.floor((nowMs - durationMs) / 1000));
  const match = datePattern.exec(text);
  const [, day = "", time = "00:00:00", fraction = "", zone = ""] = match ?? [];
  const ms = Date.parse(`${day}T${time}${zone}`);
  if (match !== null && !Number.isNaN(ms)) return seconds(ms, fraction);
  throw new CliFailure(
    `invalid time "${text}": write seconds since 1970, a date such as 2026-11-22T10:00:00, ` +
      "or how long ago, such as 10m or 1h30m",
  );
}
