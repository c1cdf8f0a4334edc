// The commands that make a host Holdfast's own, as data.

import { storageUses } from "../core/volume-report.ts";
import type { Command, OptionSpec } from "./command.ts";
import { jsonOption } from "./json-option.ts";

const destdir: OptionSpec = {
  name: "destdir",
  kind: "string",
  summary: "Work below this directory, and start or stop nothing (for packages)",
};

const dryRun: OptionSpec = {
  name: "dry-run",
  kind: "flag",
  summary: "Only print what would be done",
};

export const hostCommands: readonly Command[] = [
  {
    words: ["install"],
    summary: "Install or upgrade Holdfast on this host: program, units, manual, completion",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      destdir,
      dryRun,
      {
        name: "force",
        kind: "flag",
        summary: "Replace files that were changed by hand, too",
      },
      jsonOption,
    ],
    examples: [
      { line: "holdfast install --dry-run", about: "What would be written and started?" },
      { line: "holdfast install", about: "Install, or upgrade under running containers" },
    ],
    completes: "nothing",
  },
  {
    words: ["uninstall"],
    summary: "Take back what install did. Volumes and their data stay.",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      destdir,
      dryRun,
      {
        name: "force",
        short: "f",
        kind: "flag",
        summary: "Also while containers use volumes: their mounts go on, and nobody watches them",
      },
      jsonOption,
    ],
    examples: [{ line: "holdfast uninstall", about: "Data stays in /var/lib/holdfast" }],
    completes: "nothing",
  },
  {
    words: ["doctor"],
    summary: "Look at this host, or measure what a volume's storage does and is fit for",
    usage: "[OPTIONS] [VOLUME]",
    argumentCount: { min: 0, max: 1 },
    options: [
      {
        name: "for",
        kind: "string",
        summary: "Judge the volume for one use, and end with 1 where it is not fit for it",
        values: storageUses,
        check: (use) =>
          storageUses.some((each) => each === use)
            ? undefined
            : `--for takes one of ${storageUses.join(", ")}, not ${JSON.stringify(use)}.`,
      },
      { name: "quick", kind: "flag", summary: "Measure the volume with fewer repetitions" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast doctor", about: "This host; ends with 1 where there is a problem" },
      { line: "holdfast doctor wiki-data", about: "What the storage of a volume is fit for" },
      { line: "holdfast doctor --for postgresql wiki-data", about: "In a script" },
      { line: "holdfast doctor --json", about: "For a program" },
    ],
    completes: "volumes",
  },
];
