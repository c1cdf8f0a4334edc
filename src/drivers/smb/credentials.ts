// What logs in at an SMB server: a secret in the format of mount.cifs(8), in a file that is there
// only while that program reads it.
import fs from "node:fs";
import { EngineError, storageError } from "../../core/errors.ts";
import type { SecretValue } from "../../core/secret-store.ts";

const FILE = "credentials";
const fields = ["username", "password", "domain"] as const;

/** Other spellings that mount.cifs takes. */
const spellings: Readonly<Record<string, (typeof fields)[number]>> = {
  username: "username",
  user: "username",
  password: "password",
  pass: "password",
  domain: "domain",
  dom: "domain",
  workgroup: "domain",
};

/**
 * The lines of the file. A secret has lines of its own (`username=…`, `password=…`, `domain=…`), or
 * is the password of `user`. Throws `remote.denied`, never with what the secret says.
 */
export function credentialLines(secret: SecretValue, user: string | undefined): string {
  const text = secret.revealText();
  const found: Partial<Record<(typeof fields)[number], string>> = {};
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const pairs = lines.map((line) => /^\s*(?<word>[a-z]+)\s*=(?<value>.*)$/i.exec(line)?.groups);
  const known = pairs.map((pair) => spellings[(pair?.["word"] ?? "").toLowerCase()]);
  if (known.length > 0 && known.every((each) => each !== undefined)) {
    for (const [index, field] of known.entries()) {
      if (field !== undefined) found[field] = pairs[index]?.["value"] ?? "";
    }
  } else if (user !== undefined && lines.length === 1) {
    found.password = text;
  } else {
    throw new EngineError(
      "remote.denied",
      "the secret is not in the format of mount.cifs: lines username=…, password=… and domain=…; " +
        "or give `-o user=NAME` and a secret of one line, the password",
    );
  }
  if (user !== undefined) found.username = user;
  if (found.username === undefined) {
    throw new EngineError(
      "remote.denied",
      "the secret has no line username=…, and there is no user",
    );
  }
  const written = fields.flatMap((each) =>
    found[each] === undefined ? [] : [`${each}=${found[each]}`],
  );
  return `${written.join("\n")}\n`;
}

/** Gives `work` the path of a file with these lines, which is gone afterwards. */
export async function withCredentials<T>(
  directory: string,
  lines: string,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const file = `${directory}/${FILE}`;
  try {
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, lines, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw storageError(error, `writing ${file}`);
  }
  try {
    return await work(file);
  } finally {
    fs.rmSync(file, { force: true });
  }
}
