// `holdfast secret create`: a value from a file, standard input or the keyboard, never from the
// arguments.
import { SECRET_BYTES_MAX } from "../core/secret-store.ts";
import type { Invocation } from "./command.ts";
import { exitOfKind } from "./exit-codes.ts";
import { ask, badWords, ownPath } from "./own-client.ts";
import { type OwnSecret, withFields } from "./secret.ts";
import { fieldsOf } from "./secret-fields.ts";
import type { Terminal } from "./terminal.ts";

interface PutAnswer extends OwnSecret {
  readonly replaced: boolean;
  readonly refreshed: readonly {
    readonly volume: string;
    readonly outcome: "updated" | "next mount" | "failed";
    readonly reason: string | null;
  }[];
  readonly unreadable: readonly string[];
}

/** Ends with the code of what is unavailable where a volume could not take the new value. */
export async function createSecret(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = "", file] = positional;
  const path = ownPath(["secrets", name]);
  const value = await readValue(terminal, file, options.all("field"));
  const body = {
    value: Buffer.from(value).toString("base64"),
    replace: options.flag("replace"),
  };
  const put = await ask<PutAnswer>(client, { method: "PUT", path, body });
  const isJson = options.flag("json");
  await terminal.out(`${isJson ? JSON.stringify(put) : put.name}\n`);
  if (!isJson) await terminal.err(remarks(put));
  const hasFailed = put.refreshed.some(({ outcome }) => outcome === "failed");
  return hasFailed ? exitOfKind.unavailable : 0;
}

async function readValue(
  terminal: Terminal,
  file: string | undefined,
  words: readonly string[],
): Promise<Uint8Array> {
  const fields = fieldsOf(words);
  if (file === undefined && (await terminal.isInTerminal())) {
    const asked = fields.read.length === 0 ? ["secret"] : fields.read;
    const typed: string[] = [];
    for (const name of asked) typed.push(await typedTwice(terminal, name));
    if (words.length > 0) return withFields(fields, typed);
    return new TextEncoder().encode(typed[0] ?? "");
  }
  const whole =
    file === undefined || file === "-"
      ? await terminal.readAll(SECRET_BYTES_MAX)
      : await readFile(file);
  if (whole.length > SECRET_BYTES_MAX) {
    throw badWords(`a secret has at most ${SECRET_BYTES_MAX} bytes, and this one has more`);
  }
  if (words.length === 0) return whole;
  const lines = new TextDecoder()
    .decode(whole)
    .replace(/\r?\n$/, "")
    .split(/\r?\n/);
  return withFields(fields, lines);
}

async function typedTwice(terminal: Terminal, name: string): Promise<string> {
  const first = await terminal.readHidden(`${name} (it is not shown): `);
  if (first === undefined || first === "")
    throw badWords("nothing was typed, and nothing was kept");
  const second = await terminal.readHidden("once more: ");
  if (second === first) return first;
  throw badWords("that was not the same twice: nothing was kept");
}

/** A value that was given for a file's name is not repeated: logs keep what is printed. */
async function readFile(path: string): Promise<Uint8Array> {
  try {
    const file = Bun.file(path);
    return await file.slice(0, SECRET_BYTES_MAX + 1).bytes();
  } catch {
    throw badWords(
      "the file that is named cannot be read; a value itself is never an argument: leave it out " +
        "and be asked, or pipe it in",
    );
  }
}

const waits = "goes on with the old value until nobody has it mounted: restart its containers";

/** What a person has to know, a line each. */
function remarks({ refreshed, unreadable }: PutAnswer): string {
  const lines = refreshed.flatMap(({ volume, outcome, reason }) => {
    if (outcome === "failed") return [`warning: ${volume} has not taken it: ${reason ?? ""}`];
    return outcome === "next mount" ? [`${volume} ${waits}`] : [];
  });
  if (unreadable.length > 0) {
    lines.push(
      `warning: cannot be read, because the key file is not the one that they were sealed with, ` +
        `or damaged: ${unreadable.join(", ")}`,
    );
  }
  return lines.map((line) => `${line}\n`).join("");
}
