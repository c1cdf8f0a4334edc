// The commands that keep volumes in order without touching their data, as data.
import type { Command } from "./command.ts";
import { tableFormatWords } from "./format-words.ts";
import { jsonOption } from "./json-option.ts";
import { checkLabel } from "./label.ts";
import { confirmOption, reasonOption } from "./protection-options.ts";
import { publishCommand } from "./publish-command.ts";

export const upkeepCommands: readonly Command[] = [
  {
    words: ["volume", "update"],
    summary: "Update a volume (cluster volumes only). Labels, a note and options: of any volume.",
    usage: "[OPTIONS] [VOLUME]",
    argumentCount: { min: 1, max: 1 },
    options: [
      {
        name: "availability",
        kind: "string",
        summary: 'Cluster Volume availability ("active", "pause", "drain")',
        default: "active",
        values: ["active", "pause", "drain"],
      },
      {
        name: "label-add",
        kind: "list",
        summary: "Add a label, or replace its value (KEY=VALUE)",
        check: checkLabel,
      },
      { name: "label-rm", kind: "list", summary: "Remove a label" },
      { name: "note", kind: "string", summary: 'A line for people; "" takes it away' },
      {
        name: "opt-set",
        short: "o",
        kind: "map",
        completes: "driver options",
        summary:
          "Set an option of all drivers (sharing, database, owner, mode, trash, reclaim, " +
          "on-stale, guard), or one of a driver that can change its own",
      },
      { name: "opt-rm", kind: "list", summary: "Remove such an option" },
      jsonOption,
    ],
    examples: [
      {
        line: 'holdfast volume update wiki-data --label-add owner=kim --note "orders db"',
        about: "A label and a note, in place",
      },
      { line: "holdfast volume update ci --opt-set trash=off", about: "No trash for this one" },
      {
        line: "holdfast volume update media -o server=10.0.0.6",
        about: "Its NAS has another address: tested first, then used",
      },
    ],
    completes: "volumes",
    apiVersionMin: "1.42",
  },
  {
    words: ["volume", "protect"],
    summary: "Keep a volume from being removed, renamed and purged, whoever asks",
    usage: "[OPTIONS] VOLUME",
    argumentCount: { min: 1, max: 1 },
    options: [reasonOption, jsonOption],
    examples: [
      {
        line: 'holdfast volume protect pgdata --reason "prod orders, ask before touching"',
        about: "Whoever tries to remove it reads that",
      },
    ],
    completes: "volumes",
  },
  {
    words: ["volume", "unprotect"],
    summary: "Lift the protection of a volume",
    usage: "[OPTIONS] VOLUME",
    argumentCount: { min: 1, max: 1 },
    options: [confirmOption, jsonOption],
    examples: [
      { line: "holdfast volume unprotect pgdata", about: "Asks for the name" },
      { line: "holdfast volume unprotect pgdata --confirm pgdata", about: "In a script" },
    ],
    completes: "volumes",
  },
  {
    words: ["volume", "rename"],
    summary: "Give a volume that nobody uses another name",
    usage: "[OPTIONS] VOLUME NEW_NAME",
    argumentCount: { min: 2, max: 2 },
    options: [
      { name: "keep-alias", kind: "flag", summary: "The old name goes on meaning it" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast volume rename wiki wiki-data", about: "The old name is free afterwards" },
      {
        line: "holdfast volume rename wiki wiki-data --keep-alias",
        about: "For Compose files that say the old one",
      },
    ],
    completes: "volumes",
  },
  publishCommand,
  {
    words: ["volume", "flush"],
    summary: "Wait until what was written to a volume is on its storage",
    usage: "[OPTIONS] VOLUME",
    argumentCount: { min: 1, max: 1 },
    options: [
      jsonOption,
      {
        name: "timeout",
        kind: "string",
        summary: "Give up after so many seconds, and say what is left",
      },
    ],
    examples: [
      {
        line: "holdfast volume flush assets",
        about: "Before the host is switched off, when its containers are stopped",
      },
    ],
    completes: "volumes",
  },
  {
    words: ["volume", "history"],
    summary: "Show who did what to a volume, the newest first",
    usage: "[OPTIONS] VOLUME",
    argumentCount: { min: 1, max: 1 },
    options: [
      { name: "count", short: "n", kind: "string", summary: "At most so many", default: "50" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast volume history wiki-data", about: "Under its older names too" },
      { line: "holdfast volume history pgdata --count 5", about: "Also of one that is gone" },
    ],
    completes: "volumes",
  },
  {
    words: ["volume", "conflicts"],
    summary: "Show which files of a volume two containers wrote within two seconds",
    usage: "[OPTIONS] VOLUME",
    argumentCount: { min: 1, max: 1 },
    options: [
      { name: "format", kind: "string", summary: tableFormatWords },
      { name: "since", kind: "string", summary: "Only those since then (10m, or a date)" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast volume conflicts assets", about: "And what the guard does not see" },
      { line: "holdfast volume conflicts assets --since 1h --json", about: "In a script" },
    ],
    completes: "volumes",
  },
];
