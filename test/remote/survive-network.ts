// A network of a test's own with nothing but a loopback, on which a port can fall silent: packets
// are dropped, and nobody is told.
import { eventually, runToEnd, startChild, stopChild } from "../support/child.ts";

const setUpMs = 10_000;

export interface SilentNetwork extends AsyncDisposable {
  /** A program and arguments in front of what is to be in it; they become it. */
  readonly enter: readonly [string, ...string[]];
  /** Nothing comes through to or from the port; and again. */
  cut(port: number): Promise<void>;
  mend(port: number): Promise<void>;
}

/** Needs root, unshare, ip, iptables. */
export async function openSilentNetwork(): Promise<SilentNetwork> {
  // cat(1) keeps it until we end.
  const holder = startChild("setpriv", ["--pdeathsig", "KILL", "unshare", "--net", "cat"]);
  const end = () => stopChild(holder);
  const enter = ["nsenter", `--target=${holder.pid}`, "--net"] as const;
  const run = async (...words: readonly string[]) => {
    const [program, ...first] = enter;
    const { exit, stderr } = await runToEnd(program, [...first, ...words], { timeoutMs: setUpMs });
    if (exit !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
  };
  const drop = async (what: "--append" | "--delete", port: number) => {
    for (const side of ["--dport", "--sport"]) {
      const rule = ["--protocol", "tcp", side, String(port), "--jump", "DROP"];
      await run("iptables", "--wait", what, "INPUT", ...rule);
    }
  };
  try {
    await eventually(
      async () => {
        const name = await Bun.file(`/proc/${holder.pid}/comm`).text();
        return name.trim() === "cat" ? true : undefined;
      },
      { timeoutMs: setUpMs, otherwise: () => "no network namespace can be made" },
    );
    await run("ip", "link", "set", "lo", "up");
  } catch (error) {
    await end();
    throw error;
  }
  return {
    enter: [...enter],
    cut: (port) => drop("--append", port),
    mend: (port) => drop("--delete", port),
    [Symbol.asyncDispose]: end,
  };
}
