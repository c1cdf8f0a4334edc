// `holdfast volume rm --purge`: not into the trash, after the name was typed.
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { type Provenance, purgeSentence } from "./origin.ts";
import { ask, badWords, forEach, ownPath, tell } from "./own-client.ts";
import type { OwnVolume } from "./own-volume.ts";
import { purgingOf, tellWaiting } from "./purge-wait.ts";
import { typedName } from "./typed-name.ts";

export async function purgeVolumes(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  if (!options.flag("purge")) throw badWords("--yes is the answer to --purge, which is not given");
  await forEach(positional, async (name) => {
    const path = ownPath(["volumes", name], { purge: "true", confirm: name });
    if (!options.flag("yes")) {
      const isAsked = await terminal.isErrTerminal();
      const warning = isAsked ? await warningOf(name, client) : destroysAll(name);
      await typedName(terminal, name, { warning, option: "--yes" });
    }
    await tell(client, { method: "DELETE", path }).catch((error: unknown) => {
      const isGone = error instanceof CliFailure && error.code === "volume.not_found";
      if (!(isGone && options.flag("force"))) throw error;
    });
    const json = JSON.stringify({ Name: name, Removed: true });
    await terminal.out(`${options.flag("json") ? json : name}\n`);
    await tellWaiting(invocation, await purgingOf(client, name));
  });
  return 0;
}

function destroysAll(name: string): string {
  return `This destroys ${name} and its data, for good.`;
}

/** Of storage on servers it must not claim more than a purge does. */
async function warningOf(name: string, client: DaemonClient): Promise<string> {
  const path = ownPath(["volumes", name]);
  // What is not there is told by the removal itself, which knows --force.
  const volume = await ask<OwnVolume & Provenance>(client, {
    method: "GET",
    path,
  }).catch((error: unknown) => {
    if (error instanceof CliFailure) return undefined;
    throw error;
  });
  if (volume === undefined || volume.driver === "local") return destroysAll(name);
  const isOnServer = (volume.storage?.server ?? "") !== "";
  return isOnServer
    ? `This removes ${name}, for good. ${purgeSentence(volume)}`
    : destroysAll(name);
}
