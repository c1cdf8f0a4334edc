// Random bytes, drawn from the system in batches: one request has some, thousands come in a second.
import { randomFillSync } from "node:crypto";

const POOL_BYTES = 2_048;

/** Each byte is given out once. */
const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
let usedBytes = POOL_BYTES;

/** See `Host.randomHex`. */
export function randomHex(bytes: number): string {
  if (bytes > POOL_BYTES) return randomFillSync(Buffer.alloc(bytes)).toString("hex");
  if (usedBytes + bytes > POOL_BYTES) {
    randomFillSync(pool);
    usedBytes = 0;
  }
  const start = usedBytes;
  usedBytes += bytes;
  const hex = pool.toString("hex", start, usedBytes);
  pool.fill(0, start, usedBytes);
  return hex;
}
