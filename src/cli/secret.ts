// Secrets as Holdfast's own API describes them; `holdfast secret inspect` and `rm`.
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { DaemonRefusal } from "./failure.ts";
import { ask, badWords, forEach, ownPath } from "./own-client.ts";
import type { Fields } from "./secret-fields.ts";

/** A secret (src/api/holdfast/secret-contract.ts). */
export interface OwnSecret {
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly problem: string | null;
  readonly volumes: readonly string[];
  readonly trash: readonly string[];
}

/** All, sorted by name. */
export async function readSecrets(client: DaemonClient): Promise<readonly OwnSecret[]> {
  const path = ownPath(["secrets"]);
  const { secrets } = await ask<{ readonly secrets: readonly OwnSecret[] }>(client, {
    method: "GET",
    path,
  });
  return secrets;
}

/** The names that completion offers; none where the daemon is not ours. */
export async function secretNames(client: DaemonClient): Promise<readonly string[]> {
  try {
    return (await readSecrets(client)).map(({ name }) => name);
  } catch (error) {
    if (error instanceof DaemonRefusal) return [];
    throw error;
  }
}

/** Indented for people, a line for each with --json. */
export async function inspectSecrets(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const found: OwnSecret[] = [];
  try {
    await forEach(positional, async (name) => {
      const path = ownPath(["secrets", name]);
      found.push(await ask<OwnSecret>(client, { method: "GET", path }));
    });
  } finally {
    // What was found is shown, also when something else was not.
    const lines = found.map((secret) => `${JSON.stringify(secret)}\n`).join("");
    const whole = `${JSON.stringify(found, undefined, 4)}\n`;
    await terminal.out(options.flag("json") ? lines : whole);
  }
  return 0;
}

export async function removeSecrets(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  await forEach(positional, async (name) => {
    const path = ownPath(["secrets", name]);
    const removed = await ask<OwnSecret>(client, { method: "DELETE", path });
    await terminal.out(`${options.flag("json") ? JSON.stringify(removed) : name}\n`);
    if (removed.trash.length === 0 || options.flag("json")) return;
    const names = removed.trash.join(", ");
    await terminal.err(`warning: in the trash there is what logged in with ${name}: ${names}\n`);
  });
  return 0;
}

/** The text of a secret with fields: what was given, then what was read. */
export function withFields({ given, read }: Fields, values: readonly string[]): Uint8Array {
  if (values.length !== read.length || values.includes("")) {
    throw badWords(
      `a line is needed for each of the fields that are read, which are ${read.join(", ")}`,
    );
  }
  const lines = [...given, ...read.map((name, index) => `${name}=${values[index] ?? ""}`)];
  return new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
}
