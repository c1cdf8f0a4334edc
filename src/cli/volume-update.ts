// `holdfast volume update`: labels, note and options in place; else Docker's, for cluster volumes.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { ask, ownPath, printName } from "./own-client.ts";
import { keyValues, volumePath } from "./volume.ts";
import { withNotice } from "./wait-notice.ts";

const ownOptions = ["label-add", "label-rm", "note", "opt-set", "opt-rm"];

export async function updateVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
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
  const updating = ask<{ readonly name: string }>(client, { method: "PATCH", path, body });
  const text = `waiting for ${name} and its storage …`;
  return await printName(invocation, withNotice(terminal, text, updating));
}
