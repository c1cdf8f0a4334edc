// The commands of the trash, as data.
import type { Command, OptionSpec } from "./command.ts";
import { jsonOption } from "./json-option.ts";
import { confirmOption, reasonOption } from "./protection-options.ts";

const yes: OptionSpec = {
  name: "yes",
  short: "y",
  kind: "flag",
  summary: "Do not ask for the name: what is purged is gone",
};

export const trashCommands: readonly Command[] = [
  {
    words: ["trash", "ls"],
    aliases: ["list"],
    summary: "List what was removed and can be restored",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      {
        name: "format",
        kind: "string",
        summary: "'table', 'table TEMPLATE', 'json' or a Go template, as of Docker's lists",
      },
      { name: "no-trunc", kind: "flag", summary: "Do not shorten the ids" },
      { name: "quiet", short: "q", kind: "flag", summary: "Only display ids" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast trash ls", about: "What was removed, by whom, and until when it stays" },
      { line: "holdfast trash ls -q --no-trunc", about: "All ids, for a program" },
    ],
    completes: "nothing",
  },
  {
    words: ["trash", "inspect"],
    summary: "Display everything that is known of what was removed",
    usage: "[OPTIONS] ENTRY [ENTRY...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [jsonOption],
    examples: [{ line: "holdfast trash inspect pgdata", about: "By its name, or by its id" }],
    completes: "trash",
  },
  {
    words: ["trash", "restore"],
    summary: "Bring a removed volume back, with its data, labels and options",
    usage: "[OPTIONS] ENTRY",
    argumentCount: { min: 1, max: 1 },
    options: [{ name: "as", kind: "string", summary: "Another name for it" }, jsonOption],
    examples: [
      { line: "holdfast trash restore pgdata", about: "Under the name it had" },
      { line: "holdfast trash restore t-9f2 --as pgdata-old", about: "Beside a new one" },
    ],
    completes: "trash",
  },
  {
    words: ["trash", "purge"],
    summary: "Destroy what was removed, for good",
    usage: "[OPTIONS] ENTRY [ENTRY...] | --all",
    argumentCount: { min: 0, max: Number.POSITIVE_INFINITY },
    options: [
      { name: "all", short: "a", kind: "flag", summary: "Everything that is not protected" },
      { name: "wait", kind: "flag", summary: "Wait until it is destroyed" },
      yes,
      jsonOption,
    ],
    examples: [
      { line: "holdfast trash purge t-9f2", about: "Asks for the volume's name" },
      { line: "holdfast trash purge --all --yes --wait", about: "Empties the trash, and waits" },
    ],
    completes: "trash",
  },
  {
    words: ["trash", "protect"],
    summary: "Keep an entry of the trash from being purged, also where space is wanted",
    usage: "[OPTIONS] ENTRY",
    argumentCount: { min: 1, max: 1 },
    options: [reasonOption, jsonOption],
    examples: [
      { line: 'holdfast trash protect pgdata --reason "kim looks for rows"', about: "It stays" },
    ],
    completes: "trash",
  },
  {
    words: ["trash", "unprotect"],
    summary: "Lift the protection of an entry of the trash",
    usage: "[OPTIONS] ENTRY",
    argumentCount: { min: 1, max: 1 },
    options: [confirmOption, jsonOption],
    examples: [{ line: "holdfast trash unprotect t-9f2 --confirm pgdata", about: "In a script" }],
    completes: "trash",
  },
];
