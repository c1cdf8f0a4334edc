// What rclone's words mean.
import { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import { saidBy } from "../../core/printable.ts";

/** What rclone says it failed with, without its time stamps: the last line that says something. */
export function lastWords(stderr: string): string {
  // S3 goes on in lines that are set in.
  const whole = stderr.replace(/\s*\n\t/g, " ");
  const lines = whole.split("\n").map((line) => line.replace(/^\d{4}\/\S+ \S+ /, "").trim());
  return saidBy(lines.findLast((line) => line !== "") ?? "it said nothing");
}

/** Asked in this order. */
const meanings = [
  [/revealing password|is it obscured/i, "remote.denied"],
  [
    /\b40[13]\b|unauthori[sz]ed|forbidden|access ?(is )?denied|InvalidAccessKey|SignatureDoes/i,
    "remote.denied",
  ],
  [
    /unable to authenticate|logon (failure|is invalid)|invalid_grant|permission denied|bad user/i,
    "remote.denied",
  ],
  [/authentication failed|NoCredentialProviders|EmptyStaticCreds|no credential/i, "remote.denied"],
  [/(directory|object|bucket|container) ?not ?found|NoSuch(Bucket|Key)/i, "remote.not_found"],
  [/bad network name|specified share name|no such (file|bucket|container)/i, "remote.not_found"],
  [/didn't find (backend|section)|unknown (backend|provider)/i, "remote.not_found"],
] as const;

/** The failure of a remote that rclone cannot use; its words have no secrets any more. */
export function rcloneFailure(words: string, remote: string): EngineError {
  const code = meanings.find(([pattern]) => pattern.test(words))?.[1] ?? "remote.unreachable";
  return new EngineError(code, `rclone cannot use ${goQuote(remote)}: ${words}`);
}
