// The stream of a lock that is held for as long as its connection: what the daemon says, as calls.
import type { DaemonClient } from "./client.ts";
import { CliFailure } from "./failure.ts";
import { type GrantedLock, type LockPlace, lockPath } from "./lock-place.ts";

/** The daemon writes a comment every five seconds: it is gone, or hangs, when that is not read. */
const SILENCE_MS_MAX = 20_000;

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** Why a lock was lost, of the signal that says so. */
export function refusalIn(lost: AbortSignal): Refusal {
  // The only one who fires it is `keepLock`, with a refusal.
  return lost.reason as Refusal;
}

/** What the daemon says, in the order in which it does. */
interface LockListener {
  queued(place: number): void;
  granted(lock: GrantedLock): void;
  lost(refusal: Refusal): void;
  refused(refusal: Refusal): void;
}

/** What is asked for; or the id of a lock that we have, to go on with it. */
export type HoldBody =
  | { readonly id: string }
  | {
      readonly mode: "shared" | "exclusive";
      readonly ttl: number;
      readonly wait: number;
      readonly label: string;
      readonly pid: number;
    };

/**
 * Resolves when the stream has ended, whoever ended it. Rejects with `DaemonRefusal` or
 * `DaemonUnreachable`.
 */
export async function followLock(
  client: DaemonClient,
  place: LockPlace,
  body: HoldBody,
  listener: LockListener,
): Promise<void> {
  let event = "";
  const request = {
    method: "POST",
    path: lockPath(place, ["hold"]),
    body,
    silenceMs: SILENCE_MS_MAX,
  } as const;
  await client.lines(request, async (line) => {
    const [field = "", text = ""] = split(line);
    if (field === "event") event = text;
    else if (field === "data") tell(event, text, listener);
  });
}

function split(line: string): readonly [field: string, text: string] {
  const colon = line.indexOf(":");
  const text = line.slice(colon + 1).replace(/\r$/, "");
  return [line.slice(0, Math.max(0, colon)), text.replace(/^ /, "")];
}

function tell(event: string, text: string, listener: LockListener): void {
  const said = parsed(text);
  // The daemon is trusted to keep the shape of its API; a newer one may say more.
  if (event === "queued") listener.queued(Number(said["place"]));
  else if (event === "granted") listener.granted(said as unknown as GrantedLock);
  else if (event === "lost") listener.lost(refusalOf(said));
  else if (event === "refused") listener.refused(refusalOf(said));
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text);
  } catch {
    throw new CliFailure("the daemon said something of the lock that is not JSON");
  }
}

function refusalOf({ code, message }: Readonly<Record<string, unknown>>): Refusal {
  return { code: String(code ?? ""), message: String(message ?? "") };
}
