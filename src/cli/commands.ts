// Every command of `holdfast`: words, options, examples. Nothing here does anything by itself.
import { adoptCommands } from "./adopt-commands.ts";
import type { Command, CommandGroup, OptionSpec } from "./command.ts";
import { driverCommands } from "./driver-commands.ts";
import { formatWords, tableFormatWords } from "./format-words.ts";
import { hostCommands } from "./host-commands.ts";
import { parseBytes, parseSpanMs } from "./human.ts";
import { jsonOption as json } from "./json-option.ts";
import { checkLabel } from "./label.ts";
import { lockCommands } from "./lock-commands.ts";
import { pluginCommands } from "./plugin-commands.ts";
import { secretCommands } from "./secret-commands.ts";
import { trashCommands } from "./trash-commands.ts";
import { upkeepCommands } from "./upkeep-commands.ts";

/** Options in front of every command. */
export const globalOptions: readonly OptionSpec[] = [
  {
    name: "host",
    short: "H",
    kind: "string",
    summary: "Daemon socket to connect to (overrides HOLDFAST_HOST)",
  },
  { name: "version", short: "v", kind: "flag", summary: "Print version information and quit" },
];

function filter(summary: string, short?: string): OptionSpec {
  const base = { name: "filter", kind: "filter", summary } as const;
  return short === undefined ? base : { ...base, short };
}

function checkBytes(value: string): string | undefined {
  return parseBytes(value) === undefined ? `invalid size: '${value}'` : undefined;
}

function checkSpan(value: string): string | undefined {
  if (parseSpanMs(value) !== undefined) return undefined;
  return `invalid time: '${value}', write a number with s, m, h, d or w, as in 30d`;
}

function cluster(name: string, kind: OptionSpec["kind"], value?: string): OptionSpec {
  const summary = "For cluster volumes, which need a swarm";
  const base = { name, kind, summary, hidden: true, apiVersionMin: "1.42" } as const;
  return value === undefined ? base : { ...base, default: value };
}

/** Those of a plan; the ones that ask about volumes are nothing without `--plan`. */
export const planOptions: readonly OptionSpec[] = [
  { name: "plan", kind: "flag", summary: "Show what would be removed and why, and remove nothing" },
  { name: "apply", kind: "string", summary: "Remove exactly what this plan names" },
  {
    name: "unused-for",
    kind: "string",
    summary: "With --plan: unused for so long (30d, 12h). Implies --all",
    check: checkSpan,
  },
  {
    name: "larger",
    kind: "bytes",
    summary: "With --plan: larger than that (1G). Measures, and implies --all",
    check: checkBytes,
  },
  { name: "driver", kind: "list", summary: "With --plan: of this driver" },
  { name: "project", kind: "list", summary: "With --plan: of this Compose project. Implies --all" },
  { name: "measure", kind: "flag", summary: "With --plan: find out sizes that are not known" },
];

const volumeCommands: readonly Command[] = [
  {
    words: ["volume", "create"],
    summary: "Create a volume",
    usage: "[OPTIONS] [VOLUME]",
    argumentCount: { min: 0, max: 1 },
    options: [
      {
        name: "driver",
        short: "d",
        kind: "string",
        summary: "Specify volume driver name",
        default: "local",
        completes: "drivers",
      },
      { name: "label", kind: "list", summary: "Set metadata for a volume", check: checkLabel },
      { name: "name", kind: "string", summary: "Specify volume name", hidden: true },
      {
        name: "opt",
        short: "o",
        kind: "map",
        summary: "Set driver specific options",
        completes: "driver options",
      },
      cluster("availability", "string", "active"),
      cluster("group", "string"),
      { ...cluster("limit-bytes", "bytes"), check: checkBytes },
      { ...cluster("required-bytes", "bytes"), check: checkBytes },
      cluster("scope", "string", "single"),
      cluster("secret", "map"),
      cluster("sharing", "string", "none"),
      cluster("topology-preferred", "list"),
      cluster("topology-required", "list"),
      cluster("type", "string", "block"),
      json,
    ],
    examples: [
      { line: "holdfast volume create pgdata", about: "A named volume of the local driver" },
      {
        line: "holdfast volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch",
        about: "A volume in memory, 64 MiB at most",
      },
      {
        line: "holdfast volume create -d nfs -o server=nas -o path=/tank/media media",
        about: "A directory of a NAS (holdfast drivers nfs shows all options)",
      },
    ],
    completes: "nothing",
  },
  {
    words: ["volume", "inspect"],
    summary: "Display detailed information on one or more volumes",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [
      { name: "format", short: "f", kind: "string", summary: formatWords },
      {
        name: "full",
        kind: "flag",
        summary: "All that Holdfast knows: holders, history, protection, what a removal becomes",
      },
      json,
    ],
    examples: [
      { line: "holdfast volume inspect pgdata", about: "A volume as Docker describes it" },
      { line: "holdfast volume inspect --full pgdata", about: "With its history and holders" },
      {
        line: "holdfast volume inspect -f '{{.Mountpoint}}' pgdata",
        about: "Where its data lies",
      },
    ],
    completes: "volumes",
  },
  {
    words: ["volume", "ls"],
    aliases: ["list"],
    summary: "List volumes",
    details:
      "On a terminal also what each volume is doing, who has it, and when it was used last:\n" +
      "where that is too wide, holders and states are cut, and names are not. Elsewhere, and\n" +
      "with --format, the list is Docker's, and nothing is cut.",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      {
        name: "cluster",
        kind: "flag",
        summary: "Display only cluster volumes, and use cluster volume list formatting",
        hidden: true,
        apiVersionMin: "1.42",
      },
      filter('Provide filter values (e.g. "dangling=true")', "f"),
      { name: "format", kind: "string", summary: tableFormatWords },
      { name: "quiet", short: "q", kind: "flag", summary: "Only display volume names" },
      json,
    ],
    examples: [
      { line: "holdfast volume ls", about: "All volumes" },
      { line: "holdfast volume ls -q --filter dangling=true", about: "Names of unused volumes" },
    ],
  },
  {
    words: ["volume", "prune"],
    summary: "Remove unused local volumes",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      {
        name: "all",
        short: "a",
        kind: "flag",
        summary: "Remove all unused volumes, not just anonymous ones",
        apiVersionMin: "1.42",
      },
      filter('Provide filter values (e.g. "label=<label>")'),
      { name: "force", short: "f", kind: "flag", summary: "Do not prompt for confirmation" },
      ...planOptions,
      json,
    ],
    examples: [
      { line: "holdfast volume prune", about: "Remove unused anonymous volumes, after asking" },
      { line: "holdfast volume prune -a --filter label=ci", about: "Unused volumes of one label" },
      {
        line: "holdfast volume prune --plan --unused-for 30d --larger 1G",
        about: "What would go, how big it is and why; nothing is removed",
      },
      { line: "holdfast volume prune --apply p-7f3a1b", about: "Exactly what that plan says" },
    ],
  },
  {
    words: ["volume", "rm"],
    aliases: ["remove"],
    summary:
      "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [
      {
        name: "force",
        short: "f",
        kind: "flag",
        summary: "Force the removal of one or more volumes",
      },
      { name: "purge", kind: "flag", summary: "Not into the trash: destroy the data" },
      {
        name: "yes",
        short: "y",
        kind: "flag",
        summary: "With --purge: do not ask for the name",
      },
      json,
    ],
    examples: [
      { line: "holdfast volume rm pgdata", about: "Remove a volume that nobody uses" },
      { line: "holdfast volume rm --purge --yes scratch", about: "Not into the trash" },
    ],
    completes: "volumes",
  },
];

const systemCommands: readonly Command[] = [
  {
    words: ["events"],
    summary: "Get real time events from the server",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      filter("Filter output based on conditions provided", "f"),
      { name: "format", kind: "string", summary: formatWords },
      { name: "since", kind: "string", summary: "Show all events created since timestamp" },
      {
        name: "cursor",
        kind: "flag",
        summary:
          "Show each change with its cursor: a --since that names it (c-123) goes on behind it",
      },
      { name: "until", kind: "string", summary: "Stream events until this timestamp" },
      json,
    ],
    examples: [
      { line: "holdfast events --since 10m --until 0m", about: "The last ten minutes" },
      { line: "holdfast events --filter event=destroy", about: "Wait for removals" },
      { line: "holdfast events --since c-123 --json", about: "All that came behind a change" },
    ],
  },
  {
    words: ["df"],
    summary: "Show how much space volumes use",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      { name: "format", kind: "string", summary: tableFormatWords },
      {
        name: "verbose",
        short: "v",
        kind: "flag",
        summary: "Show detailed information on space usage",
      },
      json,
    ],
    examples: [{ line: "holdfast df -v", about: "The size of every volume" }],
  },
  {
    words: ["info"],
    summary: "Display system-wide information",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [{ name: "format", short: "f", kind: "string", summary: formatWords }, json],
    examples: [{ line: "holdfast info -f '{{.Plugins.Volume}}'", about: "The known drivers" }],
  },
  {
    words: ["version"],
    summary: "Show the Holdfast version information",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [{ name: "format", short: "f", kind: "string", summary: formatWords }, json],
    examples: [{ line: "holdfast version -f '{{.Server.Version}}'", about: "Of the daemon alone" }],
  },
];

const engineCommands: readonly Command[] = [
  {
    words: ["engine", "ls"],
    aliases: ["list"],
    summary: "List the container engines that have used the volume driver, asked now",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      { name: "format", kind: "string", summary: tableFormatWords },
      { name: "quiet", short: "q", kind: "flag", summary: "Only display the engines' keys" },
      json,
    ],
    examples: [{ line: "holdfast engine ls", about: "Who is asked before a volume is removed" }],
  },
  {
    words: ["engine", "forget"],
    summary: "Forget a container engine that is gone for good",
    usage: "[OPTIONS] ENGINE",
    argumentCount: { min: 1, max: 1 },
    options: [
      {
        name: "force",
        short: "f",
        kind: "flag",
        summary: "Also one that answers and has containers with volumes",
      },
      json,
    ],
    examples: [
      {
        line: "holdfast engine forget docker:/run/docker.sock",
        about: "Docker was uninstalled: do not ask it any more",
      },
    ],
    completes: "engines",
  },
];

const ownCommands: readonly Command[] = [
  ...driverCommands,
  {
    words: ["verify", "plugin"],
    summary: "Check what a volume plugin must do, with volumes of the checks' own making",
    usage: "[OPTIONS] NAME|SOCKET",
    argumentCount: { min: 1, max: 1 },
    options: [
      { name: "opt", short: "o", kind: "map", summary: "Options for the volumes that are made" },
      json,
    ],
    examples: [
      { line: "holdfast verify plugin vieux/sshfs -o sshcmd=me@host:/srv", about: "A managed one" },
      { line: "holdfast verify plugin ./disks.sock", about: "One that is being written" },
    ],
    completes: "plugins",
  },
  {
    words: ["completion"],
    summary: "Print the completion script of a shell",
    usage: "bash|zsh|fish",
    argumentCount: { min: 1, max: 1 },
    options: [],
    examples: [{ line: "source <(holdfast completion bash)", about: "For this shell only" }],
    completes: "nothing",
  },
  {
    words: ["help"],
    summary: "Help about any command",
    usage: "[COMMAND]",
    argumentCount: { min: 0, max: Number.POSITIVE_INFINITY },
    options: [],
    examples: [{ line: "holdfast help volume create", about: "The same as with --help" }],
    completes: "commands",
  },
];

/** All commands, in the order in which they are documented. */
export const commands: readonly Command[] = [
  ...volumeCommands,
  ...upkeepCommands,
  ...trashCommands,
  ...secretCommands,
  ...lockCommands,
  ...pluginCommands,
  ...systemCommands,
  ...engineCommands,
  ...adoptCommands,
  ...hostCommands,
  ...ownCommands,
];

/** The first words of commands that have two. */
export const commandGroups: readonly CommandGroup[] = [
  { word: "volume", summary: "Manage volumes" },
  { word: "trash", summary: "Manage what was removed" },
  { word: "secret", summary: "Manage what volumes log in with" },
  { word: "lock", summary: "Manage locks of applications" },
  { word: "plugin", summary: "Manage plugins" },
  { word: "engine", summary: "Manage the container engines that use volumes" },
  { word: "verify", summary: "Check promises on your own storage" },
];

/** Documented here, run by the daemon: its words never reach the command line's parser. */
export const daemonSummary = "Run the Holdfast daemon";
