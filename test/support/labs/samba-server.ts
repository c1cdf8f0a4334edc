// A real SMB server that a test may kill, freeze, move and start again.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../child.ts";
import { temporaryDirectory } from "../daemon.ts";
import type { NasServer } from "./nas.ts";
import { OTHER_SERVER_ADDRESS, type PrivateNetwork, SERVER_ADDRESS } from "./private-network.ts";
import { freePort, listensOn, startServer } from "./server-process.ts";

/** What clients mount. */
export const SHARE = "data";
/** The same directory, for reading only. */
export const READ_ONLY_SHARE = "read-only";
/** Another one, without any room. Only inside a network. */
export const FULL_SHARE = "full";
const FULL_SHARE_BYTES = 262_144;

/** The only one who is let in. */
export const SMB_USER = "nas";
export const SMB_PASSWORD = "of-the-nas-7";

const usualPort = 445;
const toolTimeoutMs = 10_000;

export interface SambaServer extends NasServer {
  /** The shared directory on this host. */
  readonly folder: string;
  readonly port: number;
  /** What it wrote down about itself and its clients. */
  readonly log: string;
  /** From now on only this password is good. */
  setPassword(password: string): Promise<void>;
}

/** Starts smbd inside the network, port 445; without one on a free port of 127.0.0.1. */
export async function startSambaServer(network?: PrivateNetwork): Promise<SambaServer> {
  const own = temporaryDirectory();
  const port = network === undefined ? freePort() : usualPort;
  let address = network === undefined ? "127.0.0.1" : SERVER_ADDRESS;
  let isReadOnly = false;
  const file = join(own, "smb.conf");
  const folders = { own, folder: join(own, "share"), full: join(own, "full") };
  for (const name of ["share", "full", "private", "state"]) mkdirSync(join(own, name));
  const remove = () => rmSync(own, { recursive: true, force: true });
  const configure = () =>
    writeFileSync(file, configuration({ ...folders, address, port, isReadOnly }));
  const setPassword = async (password: string) => {
    const words = ["-s", file, "-d", "0", "-t", "-a", "-u", "root"];
    const input = `${password}\n${password}\n`;
    const set = await runToEnd("pdbedit", words, { input, timeoutMs: toolTimeoutMs });
    if (set.exit !== 0) throw new Error(`pdbedit: ${set.stdout}${set.stderr}`);
  };
  try {
    writeFileSync(join(own, "users"), `root = ${SMB_USER}\n`);
    configure();
    await setPassword(SMB_PASSWORD);
    const size = `size=${FULL_SHARE_BYTES}`;
    const tmpfs = ["mount", "--types", "tmpfs", "--options", size, "holdfast-full", folders.full];
    await network?.run(...tmpfs);
    // Nothing fits in any more.
    await network?.run(
      "fallocate",
      "--length",
      String(FULL_SHARE_BYTES),
      join(folders.full, "all"),
    );
    const switches = await startServer({
      command() {
        configure();
        const smbd = ["smbd", "--foreground", "--no-process-group"] as const;
        const words = [...smbd, "--debug-stdout", "-s", file] as const;
        return network === undefined ? words : network.command(...words);
      },
      isEntered: network !== undefined,
      isReady: (pid) => listensOn(pid, port),
    });
    return {
      ...switches,
      ...{ folder: folders.folder, port, log: join(own, "log"), setPassword },
      get address() {
        return address;
      },
      async move() {
        if (network === undefined) throw new Error("it is in no network of its own");
        const to = address === SERVER_ADDRESS ? OTHER_SERVER_ADDRESS : SERVER_ADDRESS;
        await switches.kill();
        await network.readdress(address, to);
        address = to;
        await switches.start();
      },
      async setReadOnly(wanted) {
        isReadOnly = wanted;
        await switches.kill();
        await switches.start();
      },
      async [Symbol.asyncDispose]() {
        await switches.kill();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

interface Places {
  readonly own: string;
  readonly folder: string;
  readonly full: string;
  readonly address: string;
  readonly port: number;
  /** Also the share that clients mount. */
  readonly isReadOnly: boolean;
}

/** Nothing outside of its own directory, no NetBIOS, no printers, nobody unknown. */
function configuration({ own, folder, full, address, port, isReadOnly }: Places): string {
  const shares = [
    [SHARE, folder, isReadOnly ? "yes" : "no"],
    [READ_ONLY_SHARE, folder, "yes"],
    [FULL_SHARE, full, "no"],
  ] as const;
  return `[global]
server role = standalone server
workgroup = LAB
netbios name = NAS
smb ports = ${port}
interfaces = ${address}
bind interfaces only = yes
disable netbios = yes
server min protocol = SMB2_10
load printers = no
printcap name = /dev/null
disable spoolss = yes
private dir = ${own}/private
lock directory = ${own}/state
state directory = ${own}/state
cache directory = ${own}/state
pid directory = ${own}/state
ncalrpc dir = ${own}/state/ncalrpc
passdb backend = tdbsam:${own}/private/passdb.tdb
username map = ${own}/users
map to guest = never
log level = 1
${shares
  .map(([name, path, readOnly]) => `[${name}]\npath = ${path}\nread only = ${readOnly}`)
  .join("\n")}
`;
}
