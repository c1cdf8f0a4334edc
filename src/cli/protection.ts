// Protecting volumes and entries of the trash, and lifting that: the same words for both.
import type { Invocation } from "./command.ts";
import { ask, badWords, ownPath, printName } from "./own-client.ts";
import { typedName } from "./typed-name.ts";

/** What can be protected, as its route shows it. */
export interface Protectable {
  readonly id?: string;
  readonly name: string;
  readonly protection: { readonly reason: string } | null;
}

/** Where the route of what can be protected begins. */
type Noun = "volumes" | "trash";

/** A reason is not asked for: whoever protects something has one. */
export async function protect(noun: Noun, invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const [name = ""] = positional;
  const reason = options.text("reason") ?? "";
  if (reason === "") {
    throw badWords('--reason is needed: a line that others read, as in --reason "prod orders"');
  }
  const path = ownPath([noun, name, "protection"]);
  return await printName(invocation, ask(client, { method: "PUT", path, body: { reason } }));
}

/** Asks for the name, with the `warning` before it, unless `--confirm` says it. */
export async function unprotect(
  noun: Noun,
  invocation: Invocation,
  warning: (found: Protectable) => string,
): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  let confirm = options.text("confirm");
  if (confirm === undefined) {
    const found = await ask<Protectable>(client, { method: "GET", path: ownPath([noun, name]) });
    const option = "--confirm NAME";
    await typedName(terminal, found.name, { warning: warning(found), option });
    confirm = found.name;
  }
  const path = ownPath([noun, name, "protection"], { confirm });
  return await printName(invocation, ask(client, { method: "DELETE", path }));
}
