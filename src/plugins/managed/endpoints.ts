// Where managed plugins listen, as `PluginHost` wants to know it, and how their process is run.
import { parseDriverName } from "../../core/names.ts";
import type { ManagedEndpoint } from "../../core/plugin.ts";
import type { RunRequest, RunState } from "../runtime/run-request.ts";
import type { PluginFiles } from "./files.ts";
import type { PluginRecord } from "./record.ts";

/** The beginning of the interface types that a volume plugin has. Letters of any case. */
const VOLUME_DRIVER = "docker.volumedriver/";

/** Whether the plugin says that it is a volume driver. */
export function isVolumeDriver({ version }: PluginRecord): boolean {
  const types = version.config.interface.types ?? [];
  return types.some((type) => type.toLowerCase().startsWith(VOLUME_DRIVER));
}

/** What the runtime is to run. */
export function runRequestOf(record: PluginRecord, files: PluginFiles): RunRequest {
  const { id, name, version, settings } = record;
  const { config, rootfs } = version;
  return {
    id,
    name,
    rootfs: files.rootfs(id, rootfs),
    propagated: config.propagatedMount === "" ? null : files.propagated(id),
    config,
    settings,
  };
}

/** What is known of a plugin's process and of its place on the host. */
export function endpointOf(
  record: PluginRecord,
  {
    files,
    state,
    sinceMs,
  }: { readonly files: PluginFiles; readonly state: RunState; readonly sinceMs: number },
): ManagedEndpoint {
  const { id, version } = record;
  const { config } = version;
  const isStopped = state.state === "stopped";
  return {
    name: parseDriverName(record.name),
    id,
    ...stateOf(record, state, sinceMs),
    restartCount: state.restartCount,
    socketPath: isStopped ? "" : state.socketPath,
    life: state.life,
    rootfs: files.rootfs(id, version.rootfs),
    propagated:
      config.propagatedMount === ""
        ? null
        : { inside: plainPath(config.propagatedMount), outside: files.propagated(id) },
  };
}

function stateOf(
  { isEnabled, isPaused }: PluginRecord,
  { state, sinceMs, reason }: RunState,
  recordSinceMs: number,
): Pick<ManagedEndpoint, "state" | "sinceMs" | "reason"> {
  if (state !== "stopped") return { state, sinceMs, reason };
  if (!isEnabled) {
    const reason = isPaused ? "it was stopped for an upgrade" : "";
    return { state: "disabled", sinceMs: recordSinceMs, reason };
  }
  // It is to run and does not: its start is under way or has failed.
  return { state: "restarting", sinceMs: Math.max(sinceMs, recordSinceMs), reason };
}

/** Without what a path may have twice, and without a slash at its end. */
function plainPath(text: string): string {
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.join("/")}`;
}
