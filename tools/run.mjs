// The entry of every npm script: sets the checkout up with plain Node, then hands over to Bun.
//
// A fresh machine has Node 20 and npm, nothing else. So this file and `set-up.mjs` are all that is
// not TypeScript: `node tools/run.mjs <command> [arguments]` runs `tools/<command>.ts` by Bun.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { setUp, sourceRoot } from "./set-up.mjs";

const commands = ["bench", "build", "check", "generate", "start", "test"];

/** What a terminal or a service manager sends to end a program. */
const forwarded = /** @type {const} */ (["SIGHUP", "SIGINT", "SIGTERM"]);

const [command = "", ...rest] = process.argv.slice(2);
if (!commands.includes(command)) {
  console.error(`usage: node tools/run.mjs <${commands.join("|")}> [arguments]`);
  process.exit(2);
}

const bun = setUp();
if (command === "start") {
  const built = await run(bun, [join("tools", "build.ts"), "--if-older"]);
  process.exitCode = built === 0 ? await run(join("dist", "holdfast"), ["daemon", ...rest]) : built;
} else {
  process.exitCode = await run(bun, [join("tools", `${command}.ts`), ...rest]);
}

/**
 * Runs a program to its end and answers its exit code, 128 and the number for a signal.
 *
 * @param {string} program
 * @param {readonly string[]} parameters
 * @returns {Promise<number>}
 */
function run(program, parameters) {
  const child = spawn(program, parameters, { cwd: sourceRoot, stdio: "inherit" });
  for (const signal of forwarded) {
    process.on(signal, () => {
      // Ctrl-C reaches everything on the terminal already; twice would mean "at once" to a daemon.
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  return new Promise((resolve) => {
    child.once("error", (error) => {
      console.error(`set-up: ${program} does not start: ${error.message}`);
      resolve(127);
    });
    child.once("exit", (code, signal) => {
      for (const name of forwarded) process.removeAllListeners(name);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
