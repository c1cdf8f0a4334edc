// The commands that make a host Holdfast's own, as data.
import type { Command, OptionSpec } from "./command.ts";
import { jsonOption } from "./json-option.ts";

const destdir: OptionSpec = {
  name: "destdir",
  kind: "string",
  summary: "Work below this directory, and start or stop\nnothing (for packages)",
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
        summary: "Also while containers use volumes: their mounts\ngo on, and nobody watches them",
      },
      jsonOption,
    ],
    examples: [{ line: "holdfast uninstall", about: "Data stays in /var/lib/holdfast" }],
    completes: "nothing",
  },
  {
    words: ["doctor"],
    summary: "Look at this host: what is missing, what is wrong, how to mend it",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [jsonOption],
    examples: [
      { line: "holdfast doctor", about: "Ends with 1 where there is a problem" },
      { line: "holdfast doctor --json", about: "For a program" },
    ],
    completes: "nothing",
  },
];
