// The folder that holds package.json, and what every tool asks about the checkout.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export const sourceRoot = dirname(import.meta.dir);

/** The version in package.json. */
export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(sourceRoot, "package.json"), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
    return String(manifest.version);
  }
  throw new Error("package.json has no version");
}

/**
 * The commit of the checkout, 12 digits, with `-dirty` behind it when files were changed since;
 * "unknown" without git, or in an unpacked archive.
 */
export function gitCommit(): string {
  const parameters = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
  const answer = spawnSync("git", parameters, {
    cwd: sourceRoot,
    encoding: "utf8",
    // Only looks: git would otherwise refresh its index, and wait for whoever holds it.
    env: { ...process.env, GIT_OPTIONAL_LOCKS: "0" },
  });
  return answer.status === 0 ? answer.stdout.trim() : "unknown";
}
