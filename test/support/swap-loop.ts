// A hostile container user: exchanges a directory and a symbolic link as fast as the kernel can.
//
// Run as a process of its own: `bun swap-loop.ts FIRST SECOND`. It prints a line when it has begun
// and ends when its standard input does.
import { dlopen } from "bun:ffi";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stopChild } from "./child.ts";

/** <linux/fs.h>, <fcntl.h>. */
const RENAME_EXCHANGE = 2;
const AT_FDCWD = -100;

/** How many exchanges between two looks at the standard input. */
const EXCHANGES_PER_TURN = 1_000;

/** Exchanges what stands at two paths, in a process of its own, until it is disposed of. */
export async function startSwapLoop(first: string, second: string): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, [import.meta.path, first, second], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const begun = once(child.stdout, "data");
  const ended = once(child, "exit").then(() => Promise.reject(new Error("no swap loop here")));
  await Promise.race([begun, ended]);
  ended.catch(() => undefined);
  return { [Symbol.asyncDispose]: () => stopChild(child) };
}

function exchangeUntilEnd([first = "", second = ""]: readonly string[]): void {
  const { symbols } = dlopen("libc.so.6", {
    renameat2: { args: ["i32", "cstring", "i32", "cstring", "u32"], returns: "i32" },
  });
  const [from, to] = [Buffer.from(`${first}\0`), Buffer.from(`${second}\0`)];
  const turn = () => {
    for (let count = 0; count < EXCHANGES_PER_TURN; count++) {
      const result = symbols.renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
      if (result !== 0) process.exit(1);
    }
    setImmediate(turn);
  };
  process.stdin.on("end", () => process.exit(0)).resume();
  process.stdout.write("begun\n");
  turn();
}

if (import.meta.main) exchangeUntilEnd(process.argv.slice(2));
