// `holdfast volume protect`, `unprotect` and `rename`.
import type { Invocation } from "./command.ts";
import { ask, ownPath, printName, refuseEmpty } from "./own-client.ts";
import { protect, unprotect } from "./protection.ts";

export function protectVolume(invocation: Invocation): Promise<number> {
  return protect("volumes", invocation);
}

export function unprotectVolume(invocation: Invocation): Promise<number> {
  return unprotect("volumes", invocation, ({ name, protection }) => {
    const why = protection === null ? "not protected" : `protected (${protection.reason})`;
    return `${name} is ${why}.`;
  });
}

export async function renameVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const [name = "", to = ""] = positional;
  refuseEmpty(to);
  const path = ownPath(["volumes", name, "rename"]);
  const body = { to, keepAlias: options.flag("keep-alias") };
  return await printName(invocation, ask(client, { method: "POST", path, body }));
}
