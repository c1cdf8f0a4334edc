// `holdfast trash inspect`, `restore`, `protect` and `unprotect`.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { ask, badWords, forEach, ownPath } from "./own-client.ts";
import type { TrashEntry } from "./trash.ts";
import { typedName } from "./typed-name.ts";

interface Named {
  readonly name: string;
}

/** Indented for people, a line for each with --json. */
export async function inspectTrash(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const found: TrashEntry[] = [];
  try {
    await forEach(positional, async (ref) => {
      found.push(await ask<TrashEntry>(client, { method: "GET", path: ownPath(["trash", ref]) }));
    });
  } finally {
    // What was found is shown, also when something else was not.
    const lines = found.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    const whole = `${JSON.stringify(found, undefined, 4)}\n`;
    await terminal.out(options.flag("json") ? lines : whole);
  }
  return 0;
}

export async function restoreTrash(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [ref = ""] = positional;
  const as = options.text("as");
  const path = ownPath(["trash", ref, "restore"]);
  const body = as === undefined ? {} : { as };
  const volume = await ask<Named>(client, { method: "POST", path, body }).catch((error) => {
    throw withAnotherName(error, ref);
  });
  await terminal.out(`${options.flag("json") ? JSON.stringify(volume) : volume.name}\n`);
  return 0;
}

/** The way out of a name that is taken, as a line that can be copied. */
function withAnotherName(error: unknown, ref: string): unknown {
  if (!(error instanceof CliFailure) || error.code !== "volume.name_taken") return error;
  const recovery = `Choose another name: holdfast trash restore ${ref} --as NAME`;
  return new CliFailure(error.message, error.exitCode, { code: error.code, recovery });
}

export async function protectTrash(invocation: Invocation): Promise<number> {
  const { options, positional, client } = invocation;
  const [ref = ""] = positional;
  const reason = neededReason(options.text("reason"));
  const path = ownPath(["trash", ref, "protection"]);
  return await show(invocation, ask(client, { method: "PUT", path, body: { reason } }));
}

export async function unprotectTrash(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [ref = ""] = positional;
  let confirm = options.text("confirm");
  if (confirm === undefined) {
    const entry = await ask<TrashEntry>(client, { method: "GET", path: ownPath(["trash", ref]) });
    const warning = `${entry.name} (${entry.id}) can be purged afterwards.`;
    await typedName(terminal, entry.name, { warning, option: "--confirm NAME" });
    confirm = entry.name;
  }
  const path = ownPath(["trash", ref, "protection"], { confirm });
  return await show(invocation, ask(client, { method: "DELETE", path }));
}

/** A reason is not asked for: whoever protects something has one. */
export function neededReason(reason: string | undefined): string {
  if (reason !== undefined && reason !== "") return reason;
  throw badWords('--reason is needed: a line that others read, as in --reason "prod orders"');
}

/** The name, or all of it with --json. */
export async function show(
  { options, terminal }: Pick<Invocation, "options" | "terminal">,
  asking: Promise<Named>,
): Promise<number> {
  const found = await asking;
  await terminal.out(`${options.flag("json") ? JSON.stringify(found) : found.name}\n`);
  return 0;
}
