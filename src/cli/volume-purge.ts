// `holdfast volume rm --purge`: not into the trash, after the name was typed.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { badWords, forEach, ownPath, tell } from "./own-client.ts";
import { typedName } from "./typed-name.ts";

export async function purgeVolumes(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  if (!options.flag("purge")) throw badWords("--yes is the answer to --purge, which is not given");
  await forEach(positional, async (name) => {
    const path = ownPath(["volumes", name], { purge: "true", confirm: name });
    if (!options.flag("yes")) {
      const warning = `This destroys ${name} and its data, for good.`;
      await typedName(terminal, name, { warning, option: "--yes" });
    }
    await tell(client, { method: "DELETE", path }).catch((error: unknown) => {
      const isGone = error instanceof CliFailure && error.code === "volume.not_found";
      if (!(isGone && options.flag("force"))) throw error;
    });
    const json = JSON.stringify({ Name: name, Removed: true });
    await terminal.out(`${options.flag("json") ? json : name}\n`);
  });
  return 0;
}
