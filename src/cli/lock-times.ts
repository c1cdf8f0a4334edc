// Times on the command lines of locks: `30s`, `5m`, or a number of seconds as flock(1) takes them.
import {
  LEASE_TERMS_WAIT_MS_MAX,
  LEASE_TTL_MS_MAX,
  LEASE_TTL_MS_MIN,
} from "../core/lease-service.ts";
import { parseSpanMs } from "./human.ts";

/** undefined: that is no time. */
export function readSpanMs(text: string): number | undefined {
  return parseSpanMs(/^[0-9.]+$/.test(text) ? `${text}s` : text);
}

/** What is wrong with a time to wait or to grant, or undefined. */
export function checkSpan(text: string): string | undefined {
  if (readSpanMs(text) !== undefined) return undefined;
  return "write a number of seconds, or one with s, m, h or d, as in 10s";
}

/** The same of a time to live, which has limits. */
export function checkTtl(text: string): string | undefined {
  const ttlMs = readSpanMs(text);
  if (ttlMs === undefined) return checkSpan(text);
  if (ttlMs >= LEASE_TTL_MS_MIN && ttlMs <= LEASE_TTL_MS_MAX) return undefined;
  return "a lock lives for a second at least, and for a day at most";
}

/** What is asked for in one request: the longest that there is, where the wait has no limit. */
export function waitSeconds(untilMs: number | undefined, nowMs: number): number {
  const leftMs = untilMs === undefined ? LEASE_TERMS_WAIT_MS_MAX : Math.max(0, untilMs - nowMs);
  return Math.min(leftMs, LEASE_TERMS_WAIT_MS_MAX) / 1_000;
}
