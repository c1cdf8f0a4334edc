// The command that replaces a tree of a volume, as data.
import type { Command } from "./command.ts";
import { jsonOption } from "./json-option.ts";

export const publishCommand: Command = {
  words: ["volume", "publish"],
  summary: "Replace a directory of a volume at once: readers see the old tree or the new one",
  usage: "[OPTIONS] DIR|- VOLUME:/PATH",
  argumentCount: { min: 1, max: 2 },
  options: [
    {
      name: "rollback",
      kind: "flag",
      summary: "Put the tree before back; give VOLUME:/PATH alone",
    },
    {
      name: "keep",
      kind: "string",
      summary: "How many trees before are kept (0 to 100)",
      default: "1",
    },
    {
      name: "owner",
      kind: "string",
      summary: "UID or UID:GID of all files. By default root's keep theirs, others' are their own",
    },
    {
      name: "allow-gap",
      kind: "flag",
      summary: "Where the storage cannot do better, readers may find nothing for a moment",
    },
    jsonOption,
  ],
  examples: [
    { line: "holdfast volume publish ./site assets:/www", about: "What a build has made" },
    { line: "holdfast volume publish --rollback assets:/www", about: "The tree before that one" },
    {
      line: "holdfast volume publish --keep 3 - assets:/www",
      about: "A tar on standard input",
    },
  ],
  completes: "volume paths",
};
