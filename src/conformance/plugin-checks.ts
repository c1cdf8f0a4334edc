// Checks of Docker's volume plugin protocol: each sentence of docs/reference/plugin-protocol.md.
import type { Check } from "./check.ts";
import { pluginAnswerChecks } from "./plugin-answers.ts";
import type { PluginBench } from "./plugin-bench.ts";
import { pluginMountAdvice, pluginMountChecks } from "./plugin-mounts.ts";
import { pluginVolumeAdvice, pluginVolumeChecks } from "./plugin-volumes.ts";

/** What a plugin MUST do. */
export const pluginChecks: readonly Check<PluginBench>[] = [
  ...pluginAnswerChecks,
  ...pluginVolumeChecks,
  ...pluginMountChecks,
];

/** What it SHOULD do. */
export const pluginAdvice: readonly Check<PluginBench>[] = [
  ...pluginVolumeAdvice,
  ...pluginMountAdvice,
];
