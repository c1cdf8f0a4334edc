// Which function runs which command: the only place that loads them, each when it is needed.
import type { RunCommand } from "./command.ts";
import { listVolumes } from "./volume-ls.ts";

/** By the words of the command. The list is the one that must be fast, and is loaded at once. */
export const runners: Readonly<Record<string, () => Promise<RunCommand>>> = {
  "volume create": async () => (await import("./volume-create.ts")).createVolume,
  "volume inspect": async () => (await import("./volume-inspect.ts")).inspectVolumes,
  "volume ls": async () => listVolumes,
  "volume prune": async () => (await import("./volume-prune.ts")).pruneVolumes,
  "volume rm": async () => (await import("./volume-rm.ts")).removeVolumes,
  "volume update": async () => (await import("./volume-update.ts")).updateVolume,
  events: async () => (await import("./events.ts")).followEvents,
  df: async () => (await import("./df.ts")).showUsage,
  info: async () => (await import("./info.ts")).showInfo,
  version: async () => (await import("./version.ts")).showVersion,
  "verify driver": async () => (await import("./verify.ts")).verify,
  completion: async () => (await import("./completion.ts")).printCompletion,
  help: async () => (await import("./help.ts")).printHelp,
};
