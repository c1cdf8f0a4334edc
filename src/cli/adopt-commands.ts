// The commands that bring volumes of a Docker Engine under Holdfast, and back, as data.
import type { Command, OptionSpec } from "./command.ts";
import { jsonOption } from "./json-option.ts";

const engine: OptionSpec = {
  name: "engine",
  kind: "string",
  summary: "API socket of the Docker Engine",
  default: "unix:///run/docker.sock",
};

export const adoptCommands: readonly Command[] = [
  {
    words: ["adopt"],
    summary: "Bring local volumes of the Docker Engine under Holdfast, in place",
    usage: "[OPTIONS] VOLUME [VOLUME...] | --all",
    argumentCount: { min: 0, max: Number.POSITIVE_INFINITY },
    options: [
      {
        name: "all",
        short: "a",
        kind: "flag",
        summary: "All local volumes that no container has",
      },
      { name: "dry-run", kind: "flag", summary: "Show what would be done, and why not" },
      engine,
      { name: "force", short: "f", kind: "flag", summary: "Do not prompt for confirmation" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast adopt pgdata", about: "One volume; its containers are removed before" },
      { line: "holdfast adopt --all --dry-run", about: "What could be adopted, and what not" },
    ],
    completes: "nothing",
  },
  {
    words: ["release"],
    summary: "Give volumes back to the Docker Engine, as local ones, in place",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [engine, jsonOption],
    examples: [{ line: "holdfast release pgdata", about: "The way back" }],
    completes: "volumes",
  },
];
