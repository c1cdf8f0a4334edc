// The commands of plugins as data: Docker's, and what Docker has no word for.
import type { Command, OptionSpec } from "./command.ts";
import { formatWords, tableFormatWords } from "./format-words.ts";
import { jsonOption } from "./json-option.ts";

const severalMax = Number.POSITIVE_INFINITY;

function checkInteger(value: string): string | undefined {
  if (/^[+-]?\d{1,18}$/.test(value)) return undefined;
  return `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`;
}

/** Images of plugins are not signed; Docker's own option does nothing by default either. */
function trustOption(what: string): OptionSpec {
  return { name: "disable-content-trust", kind: "flag", summary: what, default: "true" };
}

const grantOption: OptionSpec = {
  name: "grant-all-permissions",
  kind: "flag",
  summary: "Grant all permissions necessary to run\nthe plugin",
};

function force(summary: string): OptionSpec {
  return { name: "force", short: "f", kind: "flag", summary };
}

const dockerCommands: readonly Command[] = [
  {
    words: ["plugin", "create"],
    summary:
      "Create a plugin from a rootfs and configuration. Plugin data directory must contain " +
      "config.json and rootfs directory.",
    usage: "[OPTIONS] PLUGIN PLUGIN-DATA-DIR",
    argumentCount: { min: 2, max: severalMax },
    options: [
      { name: "compress", kind: "flag", summary: "Compress the context using gzip" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast plugin create me/disks ./plugin", about: "config.json and rootfs/ in it" },
    ],
  },
  {
    words: ["plugin", "disable"],
    summary: "Disable a plugin",
    usage: "[OPTIONS] PLUGIN",
    argumentCount: { min: 1, max: 1 },
    options: [force("Force the disable of an active plugin"), jsonOption],
    examples: [{ line: "holdfast plugin disable vieux/sshfs", about: "Its volumes stay listed" }],
    completes: "plugins",
  },
  {
    words: ["plugin", "enable"],
    summary: "Enable a plugin",
    usage: "[OPTIONS] PLUGIN",
    argumentCount: { min: 1, max: 1 },
    options: [
      {
        name: "timeout",
        kind: "int",
        summary: "HTTP client timeout (in seconds)",
        default: "30",
        check: checkInteger,
      },
      jsonOption,
    ],
    examples: [{ line: "holdfast plugin enable vieux/sshfs", about: "Start it" }],
    completes: "plugins",
  },
  {
    words: ["plugin", "inspect"],
    summary: "Display detailed information on one or more plugins",
    usage: "[OPTIONS] PLUGIN [PLUGIN...]",
    argumentCount: { min: 1, max: severalMax },
    options: [{ name: "format", short: "f", kind: "string", summary: formatWords }, jsonOption],
    examples: [
      { line: "holdfast plugin inspect vieux/sshfs", about: "Its configuration and settings" },
      {
        line: "holdfast plugin inspect -f '{{.Settings.Env}}' vieux/sshfs",
        about: "What can be set",
      },
    ],
    completes: "plugins",
  },
  {
    words: ["plugin", "install"],
    summary: "Install a plugin",
    usage: "[OPTIONS] PLUGIN [KEY=VALUE...]",
    argumentCount: { min: 1, max: severalMax },
    options: [
      { name: "alias", kind: "string", summary: "Local name for plugin" },
      { name: "disable", kind: "flag", summary: "Do not enable the plugin on install" },
      trustOption("Skip image verification"),
      grantOption,
      jsonOption,
    ],
    examples: [
      { line: "holdfast plugin install vieux/sshfs", about: "Asks for what it wants to do" },
      {
        line: "holdfast plugin install --alias ssh --grant-all-permissions vieux/sshfs DEBUG=1",
        about: "Under a name of its own, with a setting",
      },
    ],
  },
  {
    words: ["plugin", "ls"],
    aliases: ["list"],
    summary: "List plugins",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      {
        name: "filter",
        short: "f",
        kind: "filter",
        summary: 'Provide filter values (e.g. "enabled=true")',
      },
      { name: "format", kind: "string", summary: tableFormatWords },
      { name: "no-trunc", kind: "flag", summary: "Don't truncate output" },
      { name: "quiet", short: "q", kind: "flag", summary: "Only display plugin IDs" },
      jsonOption,
    ],
    examples: [
      {
        line: "holdfast plugin ls",
        about: "On a terminal with states, volumes and socket plugins",
      },
      { line: "holdfast plugin ls --filter enabled=false", about: "Those that do not run" },
    ],
  },
  {
    words: ["plugin", "push"],
    summary: "Push a plugin to a registry",
    usage: "[OPTIONS] PLUGIN[:TAG]",
    argumentCount: { min: 1, max: 1 },
    options: [trustOption("Skip image signing"), jsonOption],
    examples: [
      { line: "holdfast plugin push registry.lan:5000/disks:v2", about: "As it is named" },
    ],
    completes: "plugins",
  },
  {
    words: ["plugin", "rm"],
    aliases: ["remove"],
    summary: "Remove one or more plugins",
    usage: "[OPTIONS] PLUGIN [PLUGIN...]",
    argumentCount: { min: 1, max: severalMax },
    options: [force("Force the removal of an active plugin"), jsonOption],
    examples: [{ line: "holdfast plugin rm vieux/sshfs", about: "Nothing of it stays" }],
    completes: "plugins",
  },
  {
    words: ["plugin", "set"],
    summary: "Change settings for a plugin",
    usage: "PLUGIN KEY=VALUE [KEY=VALUE...]",
    argumentCount: { min: 2, max: severalMax },
    options: [],
    examples: [
      { line: "holdfast plugin set vieux/sshfs DEBUG=1", about: "A variable of its environment" },
      { line: "holdfast plugin set me/disks state.source=/srv/state", about: "A mount's source" },
    ],
    completes: "plugins",
  },
  {
    words: ["plugin", "upgrade"],
    summary: "Upgrade an existing plugin",
    usage: "[OPTIONS] PLUGIN [REMOTE]",
    argumentCount: { min: 1, max: 2 },
    options: [
      trustOption("Skip image verification"),
      grantOption,
      {
        name: "skip-remote-check",
        kind: "flag",
        summary: "Do not check if specified remote plugin\nmatches existing plugin image",
      },
      jsonOption,
    ],
    examples: [
      {
        line: "holdfast plugin upgrade vieux/sshfs",
        about: "Also one that is enabled: it comes back as it was when the new one does not start",
      },
    ],
    completes: "plugins",
  },
];

const ownCommands: readonly Command[] = [
  {
    words: ["plugin", "logs"],
    summary: "Show what a plugin has written",
    usage: "[OPTIONS] PLUGIN",
    argumentCount: { min: 1, max: 1 },
    options: [
      {
        name: "tail",
        short: "n",
        kind: "string",
        summary: "The last so many lines",
        default: "1000",
      },
      jsonOption,
    ],
    examples: [{ line: "holdfast plugin logs --tail 20 vieux/sshfs", about: "Why did it end?" }],
    completes: "plugins",
  },
];

export const pluginCommands: readonly Command[] = [...dockerCommands, ...ownCommands];
