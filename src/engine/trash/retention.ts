// How long what was removed stays in the trash, as people write it: 30d, 12h, 45m, off.

/** Milliseconds in the trash; "off": none, it is purged at once. */
export type Retention = number | "off";

/** What a time in the trash looks like, for messages. */
export const RETENTION_RULE =
  "a number with d (days), h (hours) or m (minutes), as in 30d, at most 36500d, or off is needed";

const MS_OF_UNIT: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
};
/** A hundred years: later the clock's figures would not fit dates of every program. */
const RETENTION_MS_MAX = 36_500 * 86_400_000;

/** Undefined for anything else, 0 and more than a hundred years included. */
export function parseRetention(text: string): Retention | undefined {
  if (text === "off") return "off";
  const match = /^(\d{1,8})([dhm])$/.exec(text);
  if (match === null) return undefined;
  const ms = Number(match[1]) * (MS_OF_UNIT[match[2] ?? ""] ?? 0);
  return ms > 0 && ms <= RETENTION_MS_MAX ? ms : undefined;
}
