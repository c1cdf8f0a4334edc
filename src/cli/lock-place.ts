// Which lock a command line means: `VOLUME/NAME`, or NAME with --volume; and the word that a holder
// keeps, `VOLUME/NAME/ID`.

import { CliFailure } from "./failure.ts";
import type { Options } from "./options.ts";

export interface LockPlace {
  readonly volume: string;
  readonly lock: string;
}

/** As src/cli/exit-codes.ts has it for what is invalid. */
const badWordsExit = 2;

export function badPlace(message: string): CliFailure {
  return new CliFailure(message, badWordsExit);
}

/** A lock as the API shows it to its holder (src/api/holdfast/lock-contract.ts). */
export interface GrantedLock extends LockPlace {
  readonly id: string;
  readonly mode: "shared" | "exclusive";
  readonly fence: string;
  readonly since: string;
  /** null: never. */
  readonly expires: string | null;
}

/** Throws `CliFailure`. */
function readPlace(word: string, volume: string | undefined): LockPlace {
  const [first = "", second, ...more] = word.split("/");
  const isWhole = second !== undefined;
  if (more.length > 0 || (isWhole && (first === "" || second === ""))) {
    throw badPlace(`${JSON.stringify(word)} names no lock: write VOLUME/NAME`);
  }
  if (isWhole && volume !== undefined && volume !== first) {
    throw badPlace(`two volumes are named, ${volume} and ${first}: leave one of them out`);
  }
  const place = { volume: isWhole ? first : (volume ?? ""), lock: isWhole ? second : first };
  if (place.volume === "") {
    throw badPlace(`${JSON.stringify(word)} is not VOLUME/NAME: write both, or add --volume`);
  }
  return place;
}

export function placeOf(options: Options, word: string): LockPlace {
  return readPlace(word, options.text("volume"));
}

/** `assets/publish`. */
export function placeText({ volume, lock }: LockPlace): string {
  return `${volume}/${lock}`;
}

export function lockPath({ volume, lock }: LockPlace, more: readonly string[] = []): string {
  // Not by own-client.ts, which would bring the table of errors along: `lock run` is in a hurry.
  const segments = ["volumes", volume, "locks", lock, ...more];
  return `/holdfast/v1/${segments.map(encodeURIComponent).join("/")}`;
}

export function leasePath(place: LockPlace, id: string): string {
  return lockPath(place, ["leases", id]);
}

/** What `lock acquire` prints. */
export function tokenOf({ volume, lock, id }: LockPlace & { readonly id: string }): string {
  return `${volume}/${lock}/${id}`;
}

/** Throws `CliFailure` for what no `lock acquire` has printed. */
export function readToken(word: string): LockPlace & { readonly id: string } {
  const [volume = "", lock = "", id = "", ...more] = word.split("/");
  if (volume !== "" && lock !== "" && id !== "" && more.length === 0) return { volume, lock, id };
  // Whoever has it may let the lock go: it is not repeated.
  throw badPlace("what `holdfast lock acquire` printed is needed here, which is VOLUME/NAME/ID");
}
