// What Holdfast has made on a server, and what was there before, in words.
import type { DaemonClient } from "./client.ts";
import { DaemonRefusal } from "./failure.ts";
import { ownPath } from "./own-client.ts";

/** A volume, or an entry of the trash, of Holdfast's own API. */
export interface Provenance {
  readonly driver: string;
  /** undefined: of an older daemon. */
  readonly origin?: "made" | "adopted";
  readonly options?: Readonly<Record<string, string>> | null;
}

interface Created extends Provenance {
  /** null: it is on this machine, or a plugin's. */
  readonly storage?: object | null;
}

/** What a create has come to on a server; undefined where no server is concerned. */
export async function createdLine(name: string, client: DaemonClient): Promise<string | undefined> {
  try {
    const path = ownPath(["volumes", name]);
    const volume = await client.json<Created>({ method: "GET", path });
    const isOnServer = volume.driver !== "local" && (volume.storage ?? null) !== null;
    if (!isOnServer || volume.origin === undefined) return undefined;
    return volume.origin === "adopted"
      ? "adopted what is there: no removal and no purge destroys it"
      : `made ${directory(volume)} on the server: a purge destroys it`;
  } catch (error) {
    // An engine that is not ours; the volume is created.
    if (error instanceof DaemonRefusal) return undefined;
    throw error;
  }
}

/** What a purge of such a volume on a server does, as a sentence. */
export function purgeSentence(volume: Provenance): string {
  if (volume.origin === "adopted") {
    return "Its data was on the server before, and stays: only what Holdfast knows of it goes.";
  }
  const what = volume.origin === "made" ? `${directory(volume)}, which Holdfast has made` : "";
  return what === ""
    ? "On the server it destroys the volume's directory if Holdfast has made it and no other " +
        "volume has it, and nothing else."
    : `On the server it destroys ${what}, unless another volume or host has used it since, ` +
        "and nothing else.";
}

/** Of several, in one sentence: only what is on servers. */
export function purgeSentenceOfAll(volumes: readonly Provenance[]): string {
  if (volumes.some(({ origin }) => origin === undefined)) {
    return (
      "On servers it destroys directories that Holdfast has made and no other volume has, and " +
      "nothing else."
    );
  }
  const made = volumes.filter(({ origin }) => origin === "made").length;
  const adopted = volumes.length - made;
  const destroyed =
    made === 0
      ? "On servers it destroys nothing"
      : `On servers it destroys the ${made === 1 ? "directory" : "directories"} of ${made} that ` +
        "Holdfast has made, unless another volume or host has used it since";
  return adopted === 0 ? `${destroyed}.` : `${destroyed}; the data of ${adopted} stays there.`;
}

function directory({ options }: Provenance): string {
  return options?.["subpath"] ?? "the directory";
}
