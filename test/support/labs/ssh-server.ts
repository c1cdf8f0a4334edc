// A real sshd on loopback whose sessions a test may stop and let go on.
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  descendants,
  eventually,
  hasEnded,
  runToEnd,
  signalAll,
  startChild,
  stopChild,
} from "../child.ts";
import { freePort } from "./server-process.ts";

const keyTimeoutMs = 10_000;
const startTimeoutMs = 10_000;

export interface SshServer extends AsyncDisposable {
  /** The options of sshfs(1) that reach it. */
  readonly clientOptions: string;
  /** Where it listens now. */
  readonly port: number;
  /** The user's key is `user` in it; who may log in is in `authorized`. */
  readonly folder: string;
  /** SIGSTOP to the server and all its sessions: connections stay open, and nothing answers. */
  freeze(): Promise<void>;
  /** SIGCONT. */
  thaw(): Promise<void>;
  /** SIGKILL to the server and all its sessions. */
  kill(): Promise<void>;
  /** Starts it again after `kill`; with another host key, or at another port, if asked for. */
  restart(how?: { readonly hasNewKey?: boolean; readonly hasNewPort?: boolean }): Promise<void>;
  /** What it has said, as `sshd -e`. */
  said(): string;
}

interface SshServerParts {
  readonly password?: string;
  /** A program and arguments in front of it: another network. */
  readonly enter?: readonly string[];
}

/**
 * Starts it with keys of its own, which are kept in `folder`. With a password root can log in with
 * it. Needs root and sshd; openssl and unshare for a password.
 */
export async function startSshServer(
  folder: string,
  { password, enter = [] }: SshServerParts = {},
): Promise<SshServer> {
  mkdirSync(folder, { recursive: true });
  // Where sshd locks itself in; Debian's service makes it.
  mkdirSync("/run/sshd", { recursive: true });
  const [hostKey, userKey] = [join(folder, "host"), join(folder, "user")];
  for (const key of [hostKey, userKey]) await makeKey(key);
  let port = freePort();
  const knownHosts = join(folder, "known_hosts");
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readFileSync(`${hostKey}.pub`, "utf8")}`);
  writeFileSync(join(folder, "authorized"), readFileSync(`${userKey}.pub`));
  chmodSync(join(folder, "authorized"), 0o600);
  const configuration = writeConfiguration(folder, { port, hostKey, password });
  // sshd starts itself again for each session, and insists on its absolute path.
  const sshd = [Bun.which("sshd") ?? "/usr/sbin/sshd", "-D", "-e", "-f", configuration];
  const own = password === undefined ? sshd : await withPassword(folder, password, sshd);
  const command = [...enter, ...own];
  let said = "";
  const start = () => {
    said = "";
    const [program = "", ...words] = command;
    const started = startChild(program, words);
    started.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
    });
    return started;
  };
  let child = start();
  const signal = async (name: NodeJS.Signals) => {
    if (child.pid === undefined || hasEnded(child)) return;
    signalAll(await descendants(child.pid), name);
  };
  const dispose = async () => {
    await signal("SIGCONT");
    const [, ...sessions] = child.pid === undefined ? [] : await descendants(child.pid);
    signalAll(sessions, "SIGKILL");
    await stopChild(child);
  };
  const untilListening = () =>
    eventually(() => (said.includes("Server listening") ? true : undefined), {
      timeoutMs: startTimeoutMs,
      otherwise: () => `sshd does not start:\n${said}`,
    });
  try {
    await untilListening();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    clientOptions: `port=${port},IdentityFile=${userKey},UserKnownHostsFile=${knownHosts}`,
    get port() {
      return port;
    },
    folder,
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    async kill() {
      const ended = once(child, "exit");
      await signal("SIGKILL");
      await ended;
    },
    async restart({ hasNewKey = false, hasNewPort = false } = {}) {
      if (hasNewPort) {
        port = freePort();
        writeConfiguration(folder, { port, hostKey, password });
      }
      if (hasNewKey) await makeKey(hostKey);
      child = start();
      await untilListening();
    },
    said: () => said,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Returns its path. */
function writeConfiguration(
  folder: string,
  {
    port,
    hostKey,
    password,
  }: { readonly port: number; readonly hostKey: string; readonly password: string | undefined },
): string {
  const configuration = join(folder, "sshd_config");
  writeFileSync(
    configuration,
    [
      "ListenAddress 127.0.0.1",
      `Port ${port}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${join(folder, "authorized")}`,
      ...["StrictModes no", "UsePAM no", "PermitRootLogin yes", "PidFile none"],
      `PasswordAuthentication ${password === undefined ? "no" : "yes"}`,
      ...["Subsystem sftp internal-sftp", ""],
    ].join("\n"),
  );
  return configuration;
}

/** In place of the one that is there. */
async function makeKey(file: string): Promise<void> {
  for (const old of [file, `${file}.pub`]) rmSync(old, { force: true });
  const made = await runToEnd("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file], {
    timeoutMs: keyTimeoutMs,
  });
  if (made.exit !== 0) throw new Error(made.stderr);
}

/** The same command where root has this password: in a mount namespace with its own /etc/shadow. */
async function withPassword(
  folder: string,
  password: string,
  command: readonly string[],
): Promise<readonly string[]> {
  const { stdout } = await runToEnd("openssl", ["passwd", "-6", "-stdin"], {
    input: password,
    timeoutMs: keyTimeoutMs,
  });
  const shadow = join(folder, "shadow");
  writeFileSync(shadow, `root:${stdout.trim()}:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n`);
  chmodSync(shadow, 0o600);
  // Copies of mounts that are tested would keep their processes.
  const script = 'umount -a -l -t fuse.sshfs; mount --bind "$0" /etc/shadow && exec "$@"';
  return ["unshare", "--mount", "--", "sh", "-c", script, shadow, ...command];
}
