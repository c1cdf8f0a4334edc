// A real NFS 4.2 server that a test may kill and start again.
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  descendants,
  eventually,
  hasEnded,
  signalAll,
  startChild,
  stopChild,
} from "../../support/child.ts";
import { temporaryDirectory } from "../../support/daemon.ts";
import { type PrivateNetwork, SERVER_ADDRESS } from "./private-network.ts";

/** What clients mount. */
export const EXPORT_PATH = "/export";

const startTimeoutMs = 20_000;
const logTailCharacters = 2_000;

export interface NfsServer extends AsyncDisposable {
  /** The exported directory on this host. */
  readonly folder: string;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, and waits until it serves. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open, and nothing answers on them. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

/** Starts nfs-ganesha inside the network. */
export async function startNfsServer(network: PrivateNetwork): Promise<NfsServer> {
  const own = temporaryDirectory();
  const folder = join(own, "export");
  const log = join(own, "log");
  for (const each of [folder, join(own, "state")]) mkdirSync(each);
  writeFileSync(join(own, "ganesha.conf"), configuration(folder, join(own, "state")));
  let running: ChildProcess | undefined;

  const start = async () => {
    writeFileSync(log, "");
    const files = ["-f", join(own, "ganesha.conf"), "-L", log, "-p", join(own, "pid")];
    const [program, ...parameters] = network.command("ganesha.nfsd", "-F", ...files);
    const child = startChild(program, parameters);
    running = child;
    await eventually(
      () => {
        if (hasEnded(child)) throw new Error(tail(log));
        return readFileSync(log, "utf8").includes("NFS SERVER INITIALIZED") ? true : undefined;
      },
      { timeoutMs: startTimeoutMs, otherwise: () => tail(log) },
    );
  };
  const signal = async (name: NodeJS.Signals) => {
    // The first is nsenter, which waits for the server.
    const [, ...family] = running?.pid === undefined ? [] : await descendants(running.pid);
    signalAll(family, name);
  };
  const kill = async () => {
    await signal("SIGKILL");
    if (running !== undefined) await stopChild(running);
    running = undefined;
  };
  const dispose = async () => {
    await kill();
    rmSync(own, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    folder,
    kill,
    start,
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    [Symbol.asyncDispose]: dispose,
  };
}

/** No Kerberos, no rpcbind, no waiting for clients of an earlier life. */
function configuration(folder: string, state: string): string {
  return `
NFS_CORE_PARAM {
  Protocols = 4; NFS_Port = 2049; Bind_addr = ${SERVER_ADDRESS};
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
}
NFS_KRB5 { Active_krb5 = false; }
NFSv4 {
  Grace_Period = 20; Lease_Lifetime = 20; Graceless = true;
  RecoveryRoot = "${state}"; Minor_Versions = 0, 1, 2;
}
EXPORT {
  Export_Id = 1; Path = "${folder}"; Pseudo = ${EXPORT_PATH}; Access_Type = RW;
  Squash = none; SecType = sys; Protocols = 4; FSAL { Name = VFS; }
}
`;
}

function tail(log: string): string {
  return `the NFS server does not start:\n${readFileSync(log, "utf8").slice(-logTailCharacters)}`;
}
