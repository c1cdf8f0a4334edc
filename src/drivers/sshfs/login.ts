// What ssh reads of a mount: its configuration, the key to log in with, the server's own keys.
//
// All of it is in files of the run directory, so that nothing stands in an argument, and each new
// connection finds what is true then. Nothing of the user's or the machine's configuration counts.
import fs from "node:fs";
import { EngineError, isErrno, storageError } from "../../core/errors.ts";
import type { SecretValue } from "../../core/secret-store.ts";
import { writeWhole } from "../../remote/whole-files.ts";
import type { SshfsOptions } from "./options.ts";

export const CONFIGURATION = "ssh_config";
const KEY = "key";
const PINNED = "known_hosts";
/** Names of the files, for their removal. */
const files = [CONFIGURATION, KEY, PINNED];

/** sshfs reads no longer line. */
const PASSWORD_BYTES_MAX = 1000;

/** So many unanswered questions make a silent server. */
const SILENCE_COUNT = 3;
/** To connect anew takes at most so long, in seconds: a server that is back is soon seen. */
const CONNECT_SECONDS_MIN = 5;

/** How the user logs in. Secrets: never printed. */
export type Login =
  | { readonly kind: "key"; readonly text: string }
  | { readonly kind: "password"; readonly text: string };

/** Throws `secret.invalid` for what is neither a key that ssh can read nor a line of text. */
export function readLogin(secret: SecretValue): Login {
  const text = secret.revealText().replaceAll("\r\n", "\n");
  if (/^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/m.test(text)) {
    if (hasPassphrase(text)) {
      throw invalid("its key has a passphrase: `ssh-keygen -p -f COPY` takes it away from a copy");
    }
    return { kind: "key", text: `${text.trim()}\n` };
  }
  if (/^(?:ssh|ecdsa|sk)-\S+ AAAA/.test(text)) {
    throw invalid("it is a public key: the private one is the file without `.pub`");
  }
  if (text.startsWith("PuTTY-User-Key-File")) {
    throw invalid("it is a key of PuTTY: `puttygen KEY -O private-openssh` makes one for ssh");
  }
  if (/^user(?:name)?\s*=/m.test(text) && /^password\s*=/m.test(text)) {
    throw invalid("it has a user in it: give `-o host=USER@HOST`, and a secret of the password");
  }
  const line = text.split("\n")[0] ?? "";
  if (line === "" || Buffer.byteLength(line) > PASSWORD_BYTES_MAX) {
    throw invalid(`its first line is no password of 1 to ${PASSWORD_BYTES_MAX} bytes`);
  }
  return { kind: "password", text: line };
}

/** What ssh itself reports as a refusal of the server only. */
function hasPassphrase(text: string): boolean {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text)) return true;
  const body = /^-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/m.exec(text)?.[1] ?? "";
  const bytes = Buffer.from(body, "base64");
  const magic = "openssh-key-v1\0";
  if (bytes.toString("latin1", 0, magic.length) !== magic) return false;
  // Behind it is the name of the cipher, with its length in front.
  const at = magic.length + 4;
  return bytes.toString("latin1", at, at + "none".length) !== "none";
}

function invalid(why: string): EngineError {
  return new EngineError("secret.invalid", `the secret cannot be used with sshfs: ${why}`);
}

export interface LoginFiles {
  readonly options: SshfsOptions;
  readonly login: Login;
  readonly runDirectory: string;
  /** The file that the keys of servers are recorded in. */
  readonly recorded: string;
}

/** Writes them, each whole or as it was before: ssh may read at any time. Throws `storage.*`. */
export function writeLogin(given: LoginFiles): void {
  const { options, login, runDirectory } = given;
  const write = (name: string, text: string) => writeWhole(`${runDirectory}/${name}`, text);
  if (login.kind === "key") write(KEY, login.text);
  if (options.hostKey !== undefined) write(PINNED, `* ${options.hostKey}\n`);
  write(CONFIGURATION, configurationOf(given));
}

/** Whether ssh finds how to log in there. */
export function hasLogin(runDirectory: string): boolean {
  return fs.existsSync(`${runDirectory}/${CONFIGURATION}`);
}

/** Throws `storage.*`. */
export function removeLogin(runDirectory: string): void {
  try {
    for (const name of files.flatMap((each) => [each, `${each}.new`])) {
      fs.rmSync(`${runDirectory}/${name}`, { force: true });
    }
  } catch (error) {
    throw storageError(error, `removing credentials from ${runDirectory}`);
  }
}

function configurationOf({ options, login, runDirectory, recorded }: LoginFiles): string {
  const { port, hostKey, ciphers, isCompressed, timeoutSeconds } = options;
  const isKnown = hostKey !== undefined || isRecorded(recorded, options);
  const interval = Math.max(1, Math.floor(timeoutSeconds / SILENCE_COUNT));
  const lines = [
    "Host *",
    `Port ${port}`,
    `UserKnownHostsFile ${quoted(hostKey === undefined ? recorded : `${runDirectory}/${PINNED}`)}`,
    "GlobalKnownHostsFile /dev/null",
    `StrictHostKeyChecking ${isKnown ? "yes" : "accept-new"}`,
    ...["UpdateHostKeys no", "HashKnownHosts no", "VerifyHostKeyDNS no", "CheckHostIP no"],
    ...[`ServerAliveInterval ${interval}`, `ServerAliveCountMax ${SILENCE_COUNT}`],
    `ConnectTimeout ${Math.max(CONNECT_SECONDS_MIN, interval)}`,
    `Compression ${isCompressed ? "yes" : "no"}`,
    ...(ciphers === undefined ? [] : [`Ciphers ${ciphers}`]),
    ...["IdentityAgent none", "IdentitiesOnly yes", "LogLevel ERROR"],
    ...(login.kind === "key"
      ? [
          `IdentityFile ${quoted(`${runDirectory}/${KEY}`)}`,
          ...["BatchMode yes", "PreferredAuthentications publickey"],
        ]
      : [
          ...["PubkeyAuthentication no", "NumberOfPasswordPrompts 1"],
          "PreferredAuthentications password,keyboard-interactive",
        ]),
  ];
  return `${lines.join("\n")}\n`;
}

/** Whether a key of this server was recorded: ssh writes the name, and the port when it is odd. */
function isRecorded(file: string, { host, port }: SshfsOptions): boolean {
  try {
    const names = port === 22 ? host : `[${host}]:${port}`;
    const lines = fs.readFileSync(file, "utf8").split("\n");
    return lines.some((line) => line.startsWith(`${names.toLowerCase()} `));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw storageError(error, `reading ${file}`);
  }
}

/** ssh replaces what stands behind a `%`. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}
