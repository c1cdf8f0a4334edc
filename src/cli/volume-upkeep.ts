// `holdfast volume protect`, `unprotect` and `rename`.
import type { Invocation } from "./command.ts";
import { ask, ownPath } from "./own-client.ts";
import { neededReason, show } from "./trash-verbs.ts";
import { typedName } from "./typed-name.ts";

interface Protected {
  readonly name: string;
  readonly protection: { readonly reason: string } | null;
}

export async function protectVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const [name = ""] = positional;
  const reason = neededReason(options.text("reason"));
  const path = ownPath(["volumes", name, "protection"]);
  return await show(invocation, ask(client, { method: "PUT", path, body: { reason } }));
}

export async function unprotectVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  let confirm = options.text("confirm");
  if (confirm === undefined) {
    const path = ownPath(["volumes", name]);
    const volume = await ask<Protected>(client, { method: "GET", path });
    const { protection } = volume;
    const why = protection === null ? "not protected" : `protected (${protection.reason})`;
    const warning = `${volume.name} is ${why}.`;
    await typedName(terminal, volume.name, { warning, option: "--confirm NAME" });
    confirm = volume.name;
  }
  const path = ownPath(["volumes", name, "protection"], { confirm });
  return await show(invocation, ask(client, { method: "DELETE", path }));
}

export async function renameVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const [name = "", to = ""] = positional;
  const path = ownPath(["volumes", name, "rename"]);
  const body = { to, keepAlias: options.flag("keep-alias") };
  return await show(invocation, ask(client, { method: "POST", path, body }));
}
