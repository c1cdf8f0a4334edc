// Passwords as rclone's configuration has them: not secret, only not to be read in passing.
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";

/** rclone's own, published in its sources. */
const KEY = Buffer.from("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638", "hex");

const IV_BYTES = 16;

/** What `rclone obscure` prints, the same for each call with the same text. */
export function obscure(text: string): string {
  const iv = createHash("sha256").update(text).digest().subarray(0, IV_BYTES);
  const cipher = createCipheriv("aes-256-ctr", KEY, iv);
  return Buffer.concat([iv, cipher.update(text, "utf8"), cipher.final()]).toString("base64url");
}

/** What `rclone reveal` prints; any text is taken for an obscured one; short ones are "". */
export function reveal(obscured: string): string {
  const bytes = Buffer.from(obscured, "base64url");
  if (bytes.length <= IV_BYTES) return "";
  const decipher = createDecipheriv("aes-256-ctr", KEY, bytes.subarray(0, IV_BYTES));
  return decipher.update(bytes.subarray(IV_BYTES)).toString("utf8");
}
