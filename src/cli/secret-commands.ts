// The commands of secrets, as data.
import type { Command } from "./command.ts";
import { jsonOption } from "./json-option.ts";

export const secretCommands: readonly Command[] = [
  {
    words: ["secret", "create"],
    summary:
      "Create a secret from a file or standard input; on a terminal you are asked. A value is " +
      "never an argument: everybody on the machine can read those",
    usage: "[OPTIONS] SECRET [FILE|-]",
    argumentCount: { min: 1, max: 2 },
    options: [
      { name: "replace", kind: "flag", summary: "Put a new value into the place of the old one" },
      {
        name: "field",
        kind: "list",
        summary:
          "A line NAME=VALUE of it that need not be hidden, as username=bob. NAME alone is read, " +
          "as the value is, which is the field password where none is alone",
      },
      jsonOption,
    ],
    examples: [
      { line: "holdfast secret create nas", about: "Asks for the value, twice, and shows nothing" },
      { line: "holdfast secret create nas password.txt", about: "From a file" },
      {
        line: "holdfast secret create --replace nas -",
        about: "A new value, from standard input: the volumes that use it get it",
      },
      {
        line: "holdfast secret create office --field username=bob --field domain=OFFICE",
        about: "A name, a domain and a password, for SMB",
      },
    ],
    completes: "nothing",
  },
  {
    words: ["secret", "inspect"],
    summary: "Display what is known of secrets, but for their values",
    usage: "[OPTIONS] SECRET [SECRET...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [jsonOption],
    examples: [{ line: "holdfast secret inspect nas", about: "Which volumes log in with it" }],
    completes: "secrets",
  },
  {
    words: ["secret", "ls"],
    aliases: ["list"],
    summary: "List secrets",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      {
        name: "format",
        kind: "string",
        summary: "'table', 'table TEMPLATE', 'json' or a Go template, as of Docker's lists",
      },
      { name: "quiet", short: "q", kind: "flag", summary: "Only display names" },
      jsonOption,
    ],
    examples: [{ line: "holdfast secret ls", about: "All, with the volumes that use them" }],
    completes: "nothing",
  },
  {
    words: ["secret", "rm"],
    aliases: ["remove"],
    summary: "Remove secrets that no volume uses",
    usage: "[OPTIONS] SECRET [SECRET...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [jsonOption],
    examples: [{ line: "holdfast secret rm nas", about: "Refused while a volume logs in with it" }],
    completes: "secrets",
  },
];
