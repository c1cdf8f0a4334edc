// Builds dist/holdfast, the one executable that is command line and daemon.
//
// `bun tools/build.ts [--if-older] [entry] [output]`: with --if-older only when a source is newer.
// The build is written under another name and renamed, so a running or half-made one never shows.
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { runProgram } from "./run-program.ts";
import { listFiles } from "./source-files.ts";
import { gitCommit, packageVersion, sourceRoot } from "./source-root.ts";

if (import.meta.main) {
  const words = process.argv.slice(2);
  const [entry = join("src", "main.ts"), output = join("dist", "holdfast")] = words.filter(
    (word) => !word.startsWith("--"),
  );
  const upToDate = words.includes("--if-older") && isNewerThanSources(output);
  process.exitCode = upToDate ? 0 : await build(entry, output);
}

/** Answers the exit code of the build; both paths are relative to the repository. */
export async function build(entry: string, output: string): Promise<number> {
  if (!existsSync(join(sourceRoot, entry))) {
    console.error(`build: there is no ${entry}`);
    return 1;
  }
  mkdirSync(join(sourceRoot, dirname(output)), { recursive: true });
  const unfinished = `${output}.${process.pid}.new`;
  const parameters = [
    ...["build", entry, "--compile", "--minify", "--bytecode", "--format=esm"],
    // Without these two a root command line would obey files in the current folder.
    ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
    // What is imported dynamically is loaded when it is: measured, a third of `volume ls`.
    "--splitting",
    ...["--define", `HOLDFAST_VERSION=${JSON.stringify(packageVersion())}`],
    ...["--define", `HOLDFAST_COMMIT=${JSON.stringify(gitCommit())}`],
    ...["--outfile", unfinished],
  ];
  try {
    const code = await runProgram(process.execPath, parameters);
    if (code !== 0) return code;
    renameSync(join(sourceRoot, unfinished), join(sourceRoot, output));
    console.error(`build: ${output}, version ${packageVersion()}, commit ${gitCommit()}`);
    return 0;
  } finally {
    rmSync(join(sourceRoot, unfinished), { force: true });
  }
}

/** True when the built file is there and nothing that goes into it changed since. */
function isNewerThanSources(output: string): boolean {
  const built = statSync(join(sourceRoot, output), { throwIfNoEntry: false })?.mtimeMs;
  if (built === undefined) return false;
  const sources = [...listFiles("src"), ...listFiles("web"), "package.json", "package-lock.json"];
  return sources.every((path) => statSync(join(sourceRoot, path)).mtimeMs < built);
}
