// The failures of plugins and registries: a part of the table in error-table.ts.
import type { ErrorEntry } from "./error-entry.ts";

export const pluginErrors = {
  "plugin.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "List what is installed with `holdfast plugin ls`.",
  },
  "plugin.ambiguous": {
    kind: "invalid",
    retry: false,
    recovery: "Give the plugin's name, or more of its id.",
  },
  "plugin.exists": {
    kind: "conflict",
    retry: false,
    recovery: "Give it another name with `--alias`, or remove the other one first.",
  },
  "plugin.reference_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Give a reference as [HOST[:PORT]/]PATH[:TAG], in lower case.",
  },
  "plugin.config_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Correct what the message names in the plugin's config.json.",
  },
  "plugin.image_invalid": {
    kind: "corrupt",
    retry: false,
    recovery: "The registry or the tar holds no sound plugin; have its author push it again.",
  },
  "plugin.privileges": {
    kind: "denied",
    retry: false,
    recovery: "Look at what the plugin asks for, and grant exactly that.",
  },
  "plugin.setting_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Set what `holdfast plugin inspect` shows as settable, as NAME=VALUE.",
  },
  "plugin.enabled": {
    kind: "conflict",
    retry: true,
    recovery: "Stop it first with `holdfast plugin disable`.",
  },
  "plugin.disabled": {
    kind: "conflict",
    retry: true,
    recovery: "Start it with `holdfast plugin enable`.",
  },
  "plugin.in_use": {
    kind: "conflict",
    retry: true,
    recovery: "Remove its volumes first, or use force: they stay listed, and wait for the plugin.",
  },
  "plugin.start_failed": {
    kind: "unavailable",
    retry: true,
    recovery: "Read the plugin's own words in the message and in `holdfast plugin logs`.",
  },
  "plugin.unreachable": {
    kind: "unavailable",
    retry: true,
    recovery: "Start the plugin, or look at its log; it is tried again by itself.",
  },
  "plugin.failed": {
    kind: "unavailable",
    retry: true,
    recovery: "These are the plugin's own words; its documentation or log may say more.",
  },
  "registry.unreachable": {
    kind: "unavailable",
    retry: true,
    recovery: "Look at the network and the registry's name, then try again.",
  },
  "registry.denied": {
    kind: "denied",
    retry: false,
    recovery: "Log in with `docker login`, or ask for access to the repository.",
  },
  "registry.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "Look at the repository's name and tag.",
  },
  "registry.failed": {
    kind: "unavailable",
    retry: true,
    recovery: "The registry answered what is none; its operator's log may say more.",
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;
