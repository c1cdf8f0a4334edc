// Runs the benchmarks against the build of this checkout: `npm run bench -- [arguments]`.
import { join } from "node:path";
import { build } from "./build.ts";
import { installPackages } from "./install-packages.ts";
import { runProgram } from "./run-program.ts";

installPackages("bench");
const built = await build(join("src", "main.ts"), join("dist", "holdfast"));
process.exitCode =
  built === 0
    ? await runProgram(process.execPath, [join("bench", "run.ts"), ...process.argv.slice(2)])
    : built;
