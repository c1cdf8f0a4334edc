// What is not needed to create, list, inspect and remove, as one unit that is loaded on demand.
//
// Every file that the executable loads costs a command 0.2 ms. One unit for all that is rare makes
// three files of the command line, and one unit for each command made twenty.
import { adoptVolumes, releaseVolumes } from "./adopt.ts";
import { clusterSpec } from "./cluster-spec.ts";
import { complete } from "./complete.ts";
import { printCompletion } from "./completion.ts";
import { showUsage } from "./df.ts";
import { examine } from "./doctor.ts";
import { listDrivers } from "./drivers.ts";
import { forgetEngine, listEngines } from "./engine.ts";
import { followEvents } from "./events.ts";
import { printHelp, renderCommandHelp } from "./help.ts";
import { readHidden } from "./hidden-input.ts";
import { showInfo } from "./info.ts";
import { parseInspectFormat } from "./inspect-format.ts";
import { runInstall, runUninstall } from "./install.ts";
import { acquireLock, releaseLocks, renewLock } from "./lock-acquire.ts";
import { lockedFile } from "./lock-file.ts";
import { listLocks } from "./lock-ls.ts";
import { lockNotice } from "./lock-notice.ts";
import { stealLock } from "./lock-steal.ts";
import { createdLine } from "./origin.ts";
import { inspectPlugins } from "./plugin-inspect.ts";
import { installPlugin, upgradePlugin } from "./plugin-install.ts";
import { showPluginLog } from "./plugin-logs.ts";
import { listPlugins } from "./plugin-ls.ts";
import { createPlugin, pushPlugin } from "./plugin-push.ts";
import { disablePlugin, enablePlugin, removePlugins, setPlugin } from "./plugin-switch.ts";
import { planPrune } from "./prune-plan.ts";
import { reportFailure } from "./report-failure.ts";
import { inspectSecrets, removeSecrets } from "./secret.ts";
import { createSecret } from "./secret-create.ts";
import { listSecrets } from "./secret-ls.ts";
import { hintAtTrash } from "./trash-hint.ts";
import { listTrash } from "./trash-ls.ts";
import { purgeTrash } from "./trash-purge.ts";
import { inspectTrash, protectTrash, restoreTrash, unprotectTrash } from "./trash-verbs.ts";
import { verify, verifyPlugin } from "./verify.ts";
import { showVersion } from "./version.ts";
import { showConflicts } from "./volume-conflicts.ts";
import { flushVolume } from "./volume-flush.ts";
import { showHistory } from "./volume-history.ts";
import { inspectFully } from "./volume-inspect-full.ts";
import { renderVolumes } from "./volume-ls-format.ts";
import { renderWideTable } from "./volume-ls-wide.ts";
import { publishTree } from "./volume-publish.ts";
import { purgeVolumes } from "./volume-purge.ts";
import { updateVolume } from "./volume-update.ts";
import { protectVolume, renameVolume, unprotectVolume } from "./volume-upkeep.ts";
import { withNotice } from "./wait-notice.ts";
import { explainWithoutCommand } from "./without-command.ts";

export const rarely = {
  showConflicts,
  acquireLock,
  listLocks,
  lockedFile,
  lockNotice,
  releaseLocks,
  renewLock,
  stealLock,
  createdLine,
  createSecret,
  inspectSecrets,
  listSecrets,
  readHidden,
  removeSecrets,
  verifyPlugin,
  upgradePlugin,
  showPluginLog,
  setPlugin,
  removePlugins,
  pushPlugin,
  listPlugins,
  installPlugin,
  inspectPlugins,
  enablePlugin,
  disablePlugin,
  createPlugin,
  adoptVolumes,
  clusterSpec,
  complete,
  examine,
  explainWithoutCommand,
  flushVolume,
  followEvents,
  forgetEngine,
  inspectFully,
  hintAtTrash,
  inspectTrash,
  listDrivers,
  listEngines,
  listTrash,
  parseInspectFormat,
  planPrune,
  printCompletion,
  printHelp,
  protectTrash,
  protectVolume,
  publishTree,
  purgeTrash,
  purgeVolumes,
  releaseVolumes,
  renameVolume,
  renderCommandHelp,
  withNotice,
  renderVolumes,
  renderWideTable,
  reportFailure,
  restoreTrash,
  runInstall,
  runUninstall,
  showHistory,
  showInfo,
  showUsage,
  showVersion,
  unprotectTrash,
  unprotectVolume,
  updateVolume,
  verify,
};
