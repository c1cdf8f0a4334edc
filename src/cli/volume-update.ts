// `holdfast volume update`: labels, note and options in place; else Docker's, for cluster volumes.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { ask, ownPath } from "./own-client.ts";
import { show } from "./trash-verbs.ts";
import { keyValues, volumePath } from "./volume.ts";

const ownOptions = ["label-add", "label-rm", "note", "opt-set", "opt-rm"];

export async function updateVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const [name = ""] = positional;
  if (!ownOptions.some((option) => options.isGiven(option))) {
    await client.send({ method: "GET", path: volumePath(name) });
    throw new CliFailure("can only update cluster volumes");
  }
  const note = options.text("note");
  const body = {
    labelsSet: keyValues(options.all("label-add")) ?? {},
    labelsRemoved: options.all("label-rm"),
    ...(note === undefined ? {} : { note: note === "" ? null : note }),
    optionsSet: keyValues(options.all("opt-set")) ?? {},
    optionsRemoved: options.all("opt-rm"),
  };
  const path = ownPath(["volumes", name]);
  return await show(invocation, ask(client, { method: "PATCH", path, body }));
}
