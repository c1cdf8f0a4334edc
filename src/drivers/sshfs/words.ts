// What ssh and sshfs say when they fail, and what that is called here.
import type { ErrorCode } from "../../core/error-table.ts";
import { EngineError } from "../../core/errors.ts";
import { saidBy } from "../../core/printable.ts";
import type { SshfsOptions } from "./options.ts";

interface Meaning {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  /** What a person needs to know besides. */
  readonly hint?: string | undefined;
}

/** The first that is found counts: what comes later follows from it. */
const meanings: readonly Meaning[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/,
    code: "remote.denied",
    hint:
      "its host key is not the one that is known: if you know why, give the new one with " +
      "`-o host-key=…`; otherwise somebody may stand between you and the server",
  },
  {
    pattern: /Load key .*|passphrase/,
    code: "remote.denied",
    hint: "the key cannot be read: it needs to be a private key without a passphrase",
  },
  {
    pattern: /Permission denied \(|Permission denied, please|Too many authentication failures/,
    code: "remote.denied",
    hint: "the server does not accept the user with this secret",
  },
  {
    pattern:
      /Could not resolve|Connection refused|No route to host|timed out|is unreachable|Host is down/,
    code: "remote.unreachable",
  },
  { pattern: /: (?:No such file or directory|Not a directory)$/m, code: "remote.not_found" },
  { pattern: /: Permission denied$/m, code: "remote.denied" },
  {
    pattern: /subsystem request failed/,
    code: "remote.denied",
    hint: "the server has no SFTP for this user",
  },
  {
    pattern: /Connection (?:closed|reset) by|Broken pipe|kex_exchange_identification/,
    code: "remote.unreachable",
  },
];

/** Lines that say nothing, or only that something was said before. */
const noise = /^@+$|^read: Connection reset by peer$|^fusermount3?:|^Warning: Permanently added/;

/** `words` has the secrets masked. */
export function explainSshfs(words: string, options: SshfsOptions): EngineError {
  const lines = words.split("\n").filter((line) => !noise.test(line.trim()));
  const said = saidBy((lines.length === 0 ? words.split("\n") : lines).join("; "));
  const meaning = meanings.find(({ pattern }) => pattern.test(words));
  const server = serverOf(options);
  const hint = meaning?.hint === undefined ? "" : `${meaning.hint}: `;
  return new EngineError(
    meaning?.code ?? "volume.mount_failed",
    `sshfs ${options.user}@${server}:${options.path}: ${hint}${said}`,
    { details: { server, path: options.path, words: said } },
  );
}

/** The port where it is not ssh's own. */
export function serverOf({ host, port }: SshfsOptions): string {
  if (port === 22) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
