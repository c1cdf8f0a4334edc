// The static checks: types, format and lint, generated files, and the shape of the code.
import { join } from "node:path";
import { runProgram } from "./run-program.ts";
import { sourceRoot } from "./source-root.ts";

export interface StaticCheck {
  readonly name: string;
  /** Answers the exit code; the findings are on the terminal. */
  run(): Promise<number>;
}

/** What `npm test` counts beside the tests themselves. */
export const staticChecks: readonly StaticCheck[] = [
  { name: "types", run: () => runProgram(installed("tsc"), ["--project", "."]) },
  {
    name: "format and lint",
    run: () => runProgram(installed("biome"), ["check", "--error-on-warnings", "."]),
  },
  {
    name: "generated files are fresh",
    run: () => runProgram(process.execPath, [join("tools", "generate.ts"), "--check"]),
  },
];

/** A busy machine reads many files slowly. */
const tidyTimeoutMs = 120_000;

/** `npm test` has it among its tests anyway. */
const tidy: StaticCheck = {
  name: "shape of the code",
  run: () => {
    const file = `./${join("test", "tidy.test.ts")}`;
    return runProgram(process.execPath, ["test", `--timeout=${tidyTimeoutMs}`, file]);
  },
};

if (import.meta.main) {
  const failed: string[] = [];
  for (const check of [...staticChecks, tidy]) {
    if ((await check.run()) !== 0) failed.push(check.name);
  }
  if (failed.length > 0) console.error(`check failed: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

function installed(program: string): string {
  return join(sourceRoot, "node_modules", ".bin", program);
}
