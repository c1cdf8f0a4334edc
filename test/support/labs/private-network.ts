// A network and a set of processes of a test's own: whatever runs in it ends with it.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { descendants, eventually, hasEnded, runToEnd, startChild } from "../child.ts";

/** The server's end of the only link, and the network that both ends are in. */
export const SERVER_ADDRESS = "10.88.0.1";
export const CLIENT_ADDRESS = "10.88.0.2";
/** Nobody has it until a server moves there. */
export const OTHER_SERVER_ADDRESS = "10.88.0.3";
const prefixLength = 24;

/** The name of the link for whoever is its other end. */
export const LINK = "tapU";

const setUpTimeoutMs = 10_000;

/** Disposing of it kills every process in it. */
export interface PrivateNetwork extends AsyncDisposable {
  /** The program and first arguments that run `command` inside. */
  command(...command: readonly string[]): readonly [string, ...string[]];
  /** Runs a program inside to its end, and throws what it said when it fails. */
  run(...command: readonly string[]): Promise<string>;
  /** From now on nothing comes through from the client, and nothing says so: a cable is out. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Gives the server's end another address, and takes the one that it had. */
  readdress(from: string, to: string): Promise<void>;
}

/** Makes the network with the server's end of the link. Needs root, unshare and ip. */
export async function makePrivateNetwork(): Promise<PrivateNetwork> {
  // cat(1) ends when we do, and all others end with it: it is the first process in there.
  const holder = startChild("setpriv", [
    ...["--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child"],
    ...["--mount-proc", "cat"],
  ]);
  // unshare(1) waits for the first process, whatever signal it gets.
  const end = async () => {
    holder.stdin?.end();
    if (!hasEnded(holder)) await once(holder, "exit");
  };
  try {
    const first = await firstProcess(holder);
    const enter = ["nsenter", `--target=${first}`, "--net", "--pid", "--mount"] as const;
    const run = async (...command: readonly string[]) => {
      const { exit, stdout, stderr } = await runToEnd(enter[0], [...enter.slice(1), ...command], {
        timeoutMs: setUpTimeoutMs,
      });
      if (exit !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
      return stdout;
    };
    await run("ip", "link", "set", "lo", "up");
    await run("ip", "tuntap", "add", LINK, "mode", "tap");
    await run("ip", "address", "add", withPrefix(SERVER_ADDRESS), "dev", LINK);
    await run("ip", "link", "set", LINK, "up");
    const drop = (what: "--append" | "--delete") =>
      run("iptables", "--wait", what, "INPUT", "--in-interface", LINK, "--jump", "DROP");
    return {
      command: (...command) => [...enter, ...command],
      run,
      cut: async () => void (await drop("--append")),
      mend: async () => void (await drop("--delete")),
      async readdress(from, to) {
        // In this order: a second address of a network goes with the first.
        await run("ip", "address", "delete", withPrefix(from), "dev", LINK);
        await run("ip", "address", "add", withPrefix(to), "dev", LINK);
      },
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** `ip`'s word for an address of the network. */
export function withPrefix(address: string): string {
  return `${address}/${prefixLength}`;
}

async function firstProcess(holder: ChildProcess): Promise<number> {
  return await eventually(
    async () => {
      const [, child] = holder.pid === undefined ? [] : await descendants(holder.pid);
      if (child === undefined) return undefined;
      // Between fork and exec it is still unshare, and /proc is not mounted yet.
      const name = await Bun.file(`/proc/${child}/comm`).text();
      return name.trim() === "cat" ? child : undefined;
    },
    { timeoutMs: setUpTimeoutMs, otherwise: () => "no network namespace can be made" },
  );
}
