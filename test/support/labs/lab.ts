// The lab: servers of NFS and SMB, a machine with clients of both, and Holdfast on that machine.
import { readFileSync } from "node:fs";
import { eventually } from "../child.ts";
import { withoutPlugins } from "../daemon.ts";
import type { Requirement } from "../needs.ts";
import type { AgentAnswer } from "./agent-protocol.ts";
import { bootClientMachine, type ClientMachine, type MachineDisk } from "./client-machine.ts";
import { type NfsServer, startNfsServer } from "./nfs-server.ts";
import { makePrivateNetwork, type PrivateNetwork } from "./private-network.ts";
import { type SambaServer, startSambaServer } from "./samba-server.ts";

const requestTimeoutMs = 30_000;
const startTimeoutMs = 30_000;
const programTimeoutMs = 20_000;
/** Some of ours wait for a server that is gone, and then for another one. */
const holdfastTimeoutMs = 60_000;

/** What a test needs that starts it. */
export const labRequirements: readonly Requirement[] = [
  ...(["root", "unshare", "tap", "nfs-server", "nfs-client", "user-mode-linux"] as const),
  ...(["smb-server", "smb-client", "docker-cli"] as const),
];

export interface Lab extends AsyncDisposable {
  /** Of NFS. */
  readonly server: NfsServer;
  readonly samba: SambaServer;
  readonly network: PrivateNetwork;
  readonly machine: ClientMachine;
  /** Takes the machine's power and boots it again; its disks are all that is left. */
  reboot(): Promise<void>;
  /** Runs a program on the client machine. */
  run(...command: readonly string[]): Promise<AgentAnswer>;
  /** Starts Holdfast on the client machine, and waits until it answers. */
  startDaemon(options: LabDaemonOptions): Promise<LabDaemon>;
}

export interface LabDaemonOptions {
  /** The program and first arguments that are Holdfast. */
  readonly command: readonly string[];
  /** The name of its root, below a tmpfs: what lies there from an earlier start is used again. */
  readonly root: string;
  /** On the client machine. In its memory unless given. */
  readonly secretKey?: string;
  /** Of the volume driver, on the client machine; none unless given. */
  readonly pluginSocket?: string;
}

export interface LabDaemon {
  readonly pid: number;
  readonly socket: string;
  /** What it printed, a file on the client machine. */
  readonly log: string;
  /** Where a volume's data is on the client machine. */
  data(volume: string): string;
  /** One request to it, with a JSON body if any. */
  send(method: string, path: string, body?: unknown): Promise<AgentAnswer>;
  docker(...words: readonly string[]): Promise<AgentAnswer>;
  /** Holdfast's own command line. */
  holdfast(...words: readonly string[]): Promise<AgentAnswer>;
  /** Sends the signal and waits for the end. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<AgentAnswer>;
}

/** Starts all of it; disposing of it ends all of it. */
export async function startLab(disks: readonly MachineDisk[] = []): Promise<Lab> {
  await using undo = new AsyncDisposableStack();
  const network = undo.use(await makePrivateNetwork());
  const server = undo.use(await startNfsServer(network));
  const samba = undo.use(await startSambaServer(network));
  let machine = await bootClientMachine(network, disks);
  const rest = undo.move();
  let daemonCount = 0;
  return {
    ...{ server, samba, network },
    get machine() {
      return machine;
    },
    async reboot() {
      await machine.cutPower();
      machine = await bootClientMachine(network, disks);
    },
    run: (...command) => machine.ask({ does: "run", command, timeoutMs: programTimeoutMs }),
    startDaemon(options) {
      daemonCount += 1;
      return startLabDaemon(machine, options, daemonCount);
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

async function startLabDaemon(
  machine: ClientMachine,
  { command, root: name, secretKey = "/mnt/secret.key", pluginSocket }: LabDaemonOptions,
  count: number,
): Promise<LabDaemon> {
  const socket = `/run/holdfast-${count}.sock`;
  const root = `/mnt/${name}`;
  const log = `/tmp/daemon-${count}.log`;
  const [noPlugin, ...others] = withoutPlugins;
  const plugin = pluginSocket === undefined ? noPlugin : `--plugin-socket=${pluginSocket}`;
  const place = ["--root", root, "--host", `unix://${socket}`, plugin, ...others];
  // /etc is the host's.
  const words = [...command, "daemon", ...place, "--secret-key", secretKey];
  const { code: pid, errors } = await machine.ask({ does: "start", command: words, log });
  if (pid < 0) throw new Error(errors);
  const send = (method: string, path: string, body?: unknown) =>
    machine.ask({
      ...{ does: "http", socket, method, path, timeoutMs: requestTimeoutMs },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  let said = "";
  await eventually(
    async () => {
      const ping = await send("GET", "/_ping");
      if (ping.code === 200) return true;
      said = (await machine.ask({ does: "run", command: ["cat", log], timeoutMs: 5_000 })).text;
      return undefined;
    },
    { timeoutMs: startTimeoutMs, otherwise: () => `the daemon does not answer:\n${said}` },
  );
  return {
    pid,
    socket,
    log,
    data: (volume) => `${root}/volumes/${volume}/_data`,
    send,
    docker: (...more) =>
      machine.ask({
        does: "run",
        command: ["docker", "--host", `unix://${socket}`, ...more],
        timeoutMs: programTimeoutMs,
      }),
    holdfast: (...more) =>
      machine.ask({
        does: "run",
        command: ["env", `HOLDFAST_HOST=unix://${socket}`, ...command, ...more],
        timeoutMs: holdfastTimeoutMs,
      }),
    async end(signal) {
      await machine.ask({ does: "signal", pid, signal });
      return await machine.ask({ does: "await", pid });
    },
  };
}

/** What lies in the exported directory under this name, as the server's own host sees it. */
export function onServer(server: NfsServer, name: string): string {
  return readFileSync(`${server.folder}/${name}`, "utf8");
}
