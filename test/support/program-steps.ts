// Scripts in front of the programs that a daemon runs, which count themselves; the one whose turn
// it is kills: so each moment is a step with a name, not a matter of time.
//
// They are mounted over the real programs: only in a mount namespace of the caller's own.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../tools/find-program.ts";
import { runToEnd } from "./child.ts";

export interface Strike {
  /** At which of the programs that run from now on, from 1. */
  readonly at: number;
  readonly moment: "before" | "after";
  /** "self": the program, as its caller sees it. "plugin": all plugins' first processes. */
  readonly victim: "daemon" | "self" | "plugin";
}

export class ProgramSteps {
  readonly #folder: string;
  readonly #pidFiles: string;

  /** `pidFiles`: a pattern of the shell for the files with the pids of plugins. */
  constructor(folder: string, pidFiles: string) {
    this.#folder = folder;
    this.#pidFiles = pidFiles;
    mkdirSync(join(folder, "real"), { recursive: true });
  }

  /** Puts a script in front of a program, for everybody in this mount namespace. */
  async stand(program: "conmon" | "runc" | "setpriv" | "umount"): Promise<void> {
    const path = findProgram(program);
    if (path === undefined) throw new Error(`no program ${program}`);
    // Processes are known by the program's name.
    const real = join(this.#folder, "real", program);
    copyFileSync(path, real);
    const script = join(this.#folder, program);
    writeFileSync(script, this.#script(program, real), { mode: 0o755 });
    const words = ["--bind", script, path];
    const { exit, stderr } = await runToEnd("mount", words, { timeoutMs: 10_000 });
    if (exit !== 0) throw new Error(`mount ${words.join(" ")}: ${stderr}`);
  }

  /** Counting begins anew; with a strike that is to come, or none. */
  arm(strike: Strike | undefined, daemonPid: number): void {
    rmSync(join(this.#folder, "order"), { force: true });
    writeFileSync(join(this.#folder, "steps"), "");
    if (strike === undefined) return;
    const { at, moment, victim } = strike;
    writeFileSync(join(this.#folder, "order"), `${at} ${moment} ${victim} ${daemonPid}\n`);
  }

  /** What has run since: the program, and its words. */
  get steps(): readonly string[] {
    return readFileSync(join(this.#folder, "steps"), "utf8").split("\n").slice(0, -1);
  }

  /** Whether the strike has come. */
  get hasStruck(): boolean {
    return !existsSync(join(this.#folder, "order"));
  }

  #script(program: string, real: string): string {
    return `#!/bin/sh
echo "${program} $*" >> ${this.#folder}/steps
step=$(wc -l < ${this.#folder}/steps)
at=0
[ -e ${this.#folder}/order ] && read -r at moment victim daemon < ${this.#folder}/order
[ "$step" = "$at" ] || exec ${real} "$@"
rm -f ${this.#folder}/order
status=137
if [ $moment = after ]; then ${real} "$@"; status=$?; fi
case $victim in
  daemon) kill -KILL $daemon ;;
  self) kill -KILL $$ ;;
  plugin) for file in ${this.#pidFiles}; do kill -KILL "$(cat "$file")"; done 2> /dev/null ;;
esac
if [ $moment = before ] && [ $victim = plugin ]; then exec ${real} "$@"; fi
exit $status
`;
  }
}
