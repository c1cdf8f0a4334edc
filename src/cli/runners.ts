// Which function runs which command; the rare ones are loaded when they are needed, and those that
// scripts wait for are not.
import type { RunCommand } from "./command.ts";
import { runLocked } from "./lock-run.ts";
import { createVolume } from "./volume-create.ts";
import { inspectVolumes } from "./volume-inspect.ts";
import { listVolumes } from "./volume-ls.ts";
import { pruneVolumes } from "./volume-prune.ts";
import { removeVolumes } from "./volume-rm.ts";

type Load = () => Promise<RunCommand>;

/** By the words of the command. */
export const runners: Readonly<Record<string, Load>> = {
  "volume create": async () => createVolume,
  "volume inspect": async () => inspectVolumes,
  "volume ls": async () => listVolumes,
  "volume prune": async () => pruneVolumes,
  "volume rm": async () => removeVolumes,
  "volume update": async () => (await import("./rarely.ts")).rarely.updateVolume,
  "volume protect": async () => (await import("./rarely.ts")).rarely.protectVolume,
  "volume unprotect": async () => (await import("./rarely.ts")).rarely.unprotectVolume,
  "volume rename": async () => (await import("./rarely.ts")).rarely.renameVolume,
  "volume publish": async () => (await import("./rarely.ts")).rarely.publishTree,
  "volume flush": async () => (await import("./rarely.ts")).rarely.flushVolume,
  "volume history": async () => (await import("./rarely.ts")).rarely.showHistory,
  "volume conflicts": async () => (await import("./rarely.ts")).rarely.showConflicts,
  "trash ls": async () => (await import("./rarely.ts")).rarely.listTrash,
  "trash inspect": async () => (await import("./rarely.ts")).rarely.inspectTrash,
  "trash restore": async () => (await import("./rarely.ts")).rarely.restoreTrash,
  "trash purge": async () => (await import("./rarely.ts")).rarely.purgeTrash,
  "trash protect": async () => (await import("./rarely.ts")).rarely.protectTrash,
  "trash unprotect": async () => (await import("./rarely.ts")).rarely.unprotectTrash,
  "secret create": async () => (await import("./rarely.ts")).rarely.createSecret,
  "secret inspect": async () => (await import("./rarely.ts")).rarely.inspectSecrets,
  "secret ls": async () => (await import("./rarely.ts")).rarely.listSecrets,
  "secret rm": async () => (await import("./rarely.ts")).rarely.removeSecrets,
  "lock run": async () => runLocked,
  "lock acquire": async () => (await import("./rarely.ts")).rarely.acquireLock,
  "lock release": async () => (await import("./rarely.ts")).rarely.releaseLocks,
  "lock renew": async () => (await import("./rarely.ts")).rarely.renewLock,
  "lock ls": async () => (await import("./rarely.ts")).rarely.listLocks,
  "lock steal": async () => (await import("./rarely.ts")).rarely.stealLock,
  "plugin create": async () => (await import("./rarely.ts")).rarely.createPlugin,
  "plugin disable": async () => (await import("./rarely.ts")).rarely.disablePlugin,
  "plugin enable": async () => (await import("./rarely.ts")).rarely.enablePlugin,
  "plugin inspect": async () => (await import("./rarely.ts")).rarely.inspectPlugins,
  "plugin install": async () => (await import("./rarely.ts")).rarely.installPlugin,
  "plugin logs": async () => (await import("./rarely.ts")).rarely.showPluginLog,
  "plugin ls": async () => (await import("./rarely.ts")).rarely.listPlugins,
  "plugin push": async () => (await import("./rarely.ts")).rarely.pushPlugin,
  "plugin rm": async () => (await import("./rarely.ts")).rarely.removePlugins,
  "plugin set": async () => (await import("./rarely.ts")).rarely.setPlugin,
  "plugin upgrade": async () => (await import("./rarely.ts")).rarely.upgradePlugin,
  events: async () => (await import("./rarely.ts")).rarely.followEvents,
  "engine ls": async () => (await import("./rarely.ts")).rarely.listEngines,
  "engine forget": async () => (await import("./rarely.ts")).rarely.forgetEngine,
  drivers: async () => (await import("./rarely.ts")).rarely.listDrivers,
  df: async () => (await import("./rarely.ts")).rarely.showUsage,
  info: async () => (await import("./rarely.ts")).rarely.showInfo,
  version: async () => (await import("./rarely.ts")).rarely.showVersion,
  "verify driver": async () => (await import("./rarely.ts")).rarely.verify,
  "verify plugin": async () => (await import("./rarely.ts")).rarely.verifyPlugin,
  adopt: async () => (await import("./rarely.ts")).rarely.adoptVolumes,
  release: async () => (await import("./rarely.ts")).rarely.releaseVolumes,
  install: async () => (await import("./rarely.ts")).rarely.runInstall,
  uninstall: async () => (await import("./rarely.ts")).rarely.runUninstall,
  doctor: async () => (await import("./rarely.ts")).rarely.examine,
  completion: async () => (await import("./rarely.ts")).rarely.printCompletion,
  help: async () => (await import("./rarely.ts")).rarely.printHelp,
};
