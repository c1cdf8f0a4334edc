// `holdfast trash inspect`, `restore`, `protect` and `unprotect`.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { ask, forEach, type Named, ownPath, printName } from "./own-client.ts";
import { protect, unprotect } from "./protection.ts";
import type { TrashEntry } from "./trash.ts";

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
  const { options, positional, client } = invocation;
  const [ref = ""] = positional;
  const as = options.text("as");
  const path = ownPath(["trash", ref, "restore"]);
  const body = as === undefined ? {} : { as };
  const restoring = ask<Named>(client, { method: "POST", path, body }).catch((error: unknown) => {
    throw withAnotherName(error, ref);
  });
  return await printName(invocation, restoring);
}

/** The way out of a name that is taken, as a line that can be copied. */
function withAnotherName(error: unknown, ref: string): unknown {
  if (!(error instanceof CliFailure) || error.code !== "volume.name_taken") return error;
  const recovery = `Choose another name: holdfast trash restore ${ref} --as NAME`;
  return new CliFailure(error.message, error.exitCode, { code: error.code, recovery });
}

export function protectTrash(invocation: Invocation): Promise<number> {
  return protect("trash", invocation);
}

export function unprotectTrash(invocation: Invocation): Promise<number> {
  return unprotect(
    "trash",
    invocation,
    ({ name, id }) => `${name} (${id}) can be purged afterwards.`,
  );
}
