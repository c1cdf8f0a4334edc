// A real sshd on loopback whose sessions a test may stop and let go on.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  descendants,
  eventually,
  hasEnded,
  runToEnd,
  signalAll,
  startChild,
  stopChild,
} from "../support/child.ts";

const keyTimeoutMs = 10_000;
const startTimeoutMs = 10_000;

export interface SshServer extends AsyncDisposable {
  /** The options of sshfs(1) that reach it. */
  readonly clientOptions: string;
  readonly port: number;
  /** The user's key is `user` in it. */
  readonly folder: string;
  /** SIGSTOP to the server and all its sessions: connections stay open, and nothing answers. */
  freeze(): Promise<void>;
  /** SIGCONT. */
  thaw(): Promise<void>;
}

/** Starts it with keys of its own, which are kept in `folder`. Needs root and sshd. */
export async function startSshServer(folder: string): Promise<SshServer> {
  mkdirSync(folder, { recursive: true });
  // Where sshd locks itself in; Debian's service makes it.
  mkdirSync("/run/sshd", { recursive: true });
  const [hostKey, userKey] = [join(folder, "host"), join(folder, "user")];
  for (const key of [hostKey, userKey]) {
    const made = await runToEnd("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key], {
      timeoutMs: keyTimeoutMs,
    });
    if (made.exit !== 0) throw new Error(made.stderr);
  }
  const port = await freePort();
  const knownHosts = join(folder, "known_hosts");
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readFileSync(`${hostKey}.pub`, "utf8")}`);
  writeFileSync(join(folder, "authorized"), readFileSync(`${userKey}.pub`));
  chmodSync(join(folder, "authorized"), 0o600);
  const configuration = join(folder, "sshd_config");
  writeFileSync(
    configuration,
    [
      "ListenAddress 127.0.0.1",
      `Port ${port}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${join(folder, "authorized")}`,
      ...["StrictModes no", "UsePAM no", "PermitRootLogin yes", "PidFile none"],
      ...["PasswordAuthentication no", "Subsystem sftp internal-sftp", ""],
    ].join("\n"),
  );
  // sshd starts itself again for each session, and insists on its absolute path.
  const child = startChild(Bun.which("sshd") ?? "/usr/sbin/sshd", [
    "-D",
    "-e",
    "-f",
    configuration,
  ]);
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
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
  try {
    await eventually(() => (said.includes("Server listening") ? true : undefined), {
      timeoutMs: startTimeoutMs,
      otherwise: () => `sshd does not start:\n${said}`,
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    clientOptions: `port=${port},IdentityFile=${userKey},UserKnownHostsFile=${knownHosts}`,
    ...{ port, folder },
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Free a moment ago: sshd cannot choose one itself. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = address === null || typeof address === "string" ? 0 : address.port;
      probe.close(() => resolve(port));
    });
  });
}
