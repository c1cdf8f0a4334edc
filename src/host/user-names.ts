// Names of this machine's users, for people: who asked for what.
import { readFileSync } from "node:fs";

/** How long an answer may be old, in milliseconds: a new user has its name a moment later. */
const AGE_MS_MAX = 10_000;
/** What is longer is no /etc/passwd that anybody wants to have read, in bytes. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Looks users up by their numbers in /etc/passwd, which is read again when it may have changed;
 * undefined: nobody has the number. Directory services are not asked: they hang.
 */
export function userNames(
  monotonicMs: () => number,
  path = "/etc/passwd",
): (uid: number) => string | undefined {
  let names: ReadonlyMap<number, string> = new Map();
  let readAtMs = Number.NEGATIVE_INFINITY;
  return (uid) => {
    const nowMs = monotonicMs();
    if (nowMs - readAtMs > AGE_MS_MAX) {
      names = readNames(path);
      readAtMs = nowMs;
    }
    return names.get(uid);
  };
}

function readNames(path: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // Names are a convenience: without the file there are numbers.
    return names;
  }
  if (text.length > FILE_BYTES_MAX) return names;
  for (const line of text.split("\n")) {
    const [name, , uid] = line.split(":");
    if (name && uid !== undefined && /^\d{1,10}$/.test(uid) && !names.has(Number(uid))) {
      names.set(Number(uid), name);
    }
  }
  return names;
}
