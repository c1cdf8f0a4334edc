// Keeps what FUSE processes print from filling the memory that their logs are in.
//
// What a server answers is in there, and it may answer with megabytes, as often as it is asked.
import fs from "node:fs";

/** Beyond this many bytes a log begins anew. */
const BYTES_MAX = 1024 * 1024;
/** How often they are looked at, in milliseconds. */
const LOOK_MS = 1_000;

/** Absolute paths of the logs of processes that are there, as far as this life knows. */
const logs = new Set<string>();
let timer: ReturnType<typeof setInterval> | undefined;

/** From now on, until `releaseLog`. To be said as often as one likes. */
export function boundLog(log: string): void {
  logs.add(log);
  trim(log);
  timer ??= setInterval(() => {
    for (const each of logs) trim(each);
  }, LOOK_MS);
  timer.unref();
}

export function releaseLog(log: string): void {
  logs.delete(log);
  if (logs.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/** Its writer appends: what it prints next is at the file's beginning. */
function trim(log: string): void {
  try {
    if (fs.statSync(log).size > BYTES_MAX) fs.truncateSync(log);
  } catch {
    // It is gone, and whoever looks at a new one says so.
    logs.delete(log);
  }
}
