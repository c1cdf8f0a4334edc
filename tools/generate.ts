// Writes the generated files; `--check` only compares, and fails when one of them is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sourceRoot } from "./source-root.ts";

interface Generator {
  /** The file, relative to the repository. */
  readonly path: string;
  /** The whole content it must have; the same sources give the same text, byte for byte. */
  make(): Promise<string>;
}

/** Add a line here, with a dynamic import of what makes the text, and run `npm run generate`. */
const generators: readonly Generator[] = [
  {
    path: "docs/reference/cli.md",
    make: async () => (await import("../src/cli/reference.ts")).renderCliReference(),
  },
  {
    path: "docs/reference/errors.md",
    make: async () => (await import("./pages/errors.ts")).renderErrors(),
  },
  {
    path: "docs/reference/conformance.md",
    make: async () => (await import("./pages/conformance.ts")).renderConformance(),
  },
  {
    path: "docs/reference/config.md",
    make: async () => (await import("./pages/config.ts")).renderConfig(),
  },
  {
    path: "docs/reference/api.md",
    make: async () => (await import("./pages/api.ts")).renderApi(),
  },
  {
    path: "docs/reference/storage.md",
    make: async () => (await import("./pages/storage.ts")).renderStorage(),
  },
  {
    path: "openapi.json",
    make: async () => (await import("./pages/openapi.ts")).renderOpenApi(),
  },
  ...["nfs", "smb", "sshfs", "rclone"].map((driver): Generator => {
    const path = `docs/drivers/${driver}.md`;
    return {
      path,
      make: async () => (await import("./pages/driver-options.ts")).renderDriverPage(driver, path),
    };
  }),
];

if (import.meta.main) {
  const stale = await staleFiles();
  if (process.argv.includes("--check")) {
    for (const { path } of stale) console.error(`${path} is stale: run npm run generate`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const { path, text } of stale) {
      mkdirSync(dirname(join(sourceRoot, path)), { recursive: true });
      writeFileSync(join(sourceRoot, path), text);
      console.error(`${path} written`);
    }
  }
}

/** The generated files whose content is not what their sources make today. */
export async function staleFiles(): Promise<readonly { path: string; text: string }[]> {
  const made = await Promise.all(
    generators.map(async ({ path, make }) => ({ path, text: await make() })),
  );
  return made.filter(({ path, text }) => {
    const whole = join(sourceRoot, path);
    return !existsSync(whole) || readFileSync(whole, "utf8") !== text;
  });
}
