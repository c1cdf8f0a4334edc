// Whether the installed rclone knows the settings that options name.
import type { Host } from "../../core/host.ts";
import { goQuote } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import { didYouMean } from "../../core/suggest.ts";
import { optionInvalid } from "../../remote/options.ts";
import { backendOf } from "./options.ts";

/**
 * Throws `volume.option_invalid` for a setting that rclone has no flag for: in its configuration
 * file it would pass over it in silence. Throws `host.program_missing`.
 */
export async function checkSettings(
  host: Host,
  names: Iterable<string>,
  operation: Operation,
): Promise<void> {
  // Of several failures it says the first.
  for (let left = [...names]; left.length > 0; ) {
    // The values are not given: they would be seen in the list of processes.
    const words = ["version", "--config", "/dev/null", ...left.map((name) => `--${name}=`)];
    const { stderr } = await host.run("rclone", words, operation);
    const unknown = left.find((name) => stderr.includes(`unknown flag: --${name}\n`));
    if (unknown !== undefined) {
      const meant = didYouMean(unknown, await flagsOf(host, unknown, operation));
      const rule = "the installed rclone has no such setting";
      throw optionInvalid(unknown, `invalid option: ${goQuote(unknown)}:${meant} ${rule}`);
    }
    // What must not be empty is known.
    const known = left.find((name) => stderr.includes(`--${name}" flag: `));
    left = known === undefined ? [] : left.filter((name) => name !== known);
  }
}

/** Of the backend that a setting is of; some may be missing where there are hundreds. */
async function flagsOf(host: Host, name: string, operation: Operation): Promise<readonly string[]> {
  const backend = backendOf(name.slice(0, name.indexOf("-")));
  const { stdout } = await host.run("rclone", ["help", "backend", backend], operation);
  return [...stdout.matchAll(/^#### --([a-z0-9-]+)/gm)].flatMap(([, flag = ""]) => flag);
}
