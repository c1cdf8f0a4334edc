// A network and a set of processes of a test's own: whatever runs in it ends with it.
import type { ChildProcess } from "node:child_process";
import { descendants, eventually, runToEnd, startChild, stopChild } from "../../support/child.ts";

/** The server's end of the only link, and the network that both ends are in. */
export const SERVER_ADDRESS = "10.88.0.1";
export const CLIENT_ADDRESS = "10.88.0.2";
const prefixLength = 24;

/** The name of the link for whoever is its other end. */
export const LINK = "tapU";

const setUpTimeoutMs = 10_000;

/** Disposing of it kills every process in it. */
export interface PrivateNetwork extends AsyncDisposable {
  /** The program and first arguments that run `command` inside. */
  command(...command: readonly string[]): readonly [string, ...string[]];
}

/** Makes the network with the server's end of the link. Needs root, unshare and ip. */
export async function makePrivateNetwork(): Promise<PrivateNetwork> {
  // cat(1) ends when we do, and all others end with it: it is the first process in there.
  const holder = startChild("setpriv", [
    ...["--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child"],
    ...["--mount-proc", "cat"],
  ]);
  try {
    const first = await firstProcess(holder);
    const enter = ["nsenter", `--target=${first}`, "--net", "--pid", "--mount"] as const;
    for (const command of [
      ["link", "set", "lo", "up"],
      ["tuntap", "add", LINK, "mode", "tap"],
      ["address", "add", `${SERVER_ADDRESS}/${prefixLength}`, "dev", LINK],
      ["link", "set", LINK, "up"],
    ]) {
      const { exit, stderr } = await runToEnd(enter[0], [...enter.slice(1), "ip", ...command], {
        timeoutMs: setUpTimeoutMs,
      });
      if (exit !== 0) throw new Error(`ip ${command.join(" ")}: ${stderr}`);
    }
    return {
      command: (...command) => [...enter, ...command],
      [Symbol.asyncDispose]: () => stopChild(holder),
    };
  } catch (error) {
    await stopChild(holder);
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
