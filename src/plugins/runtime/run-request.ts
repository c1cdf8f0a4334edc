// What is to be run of a plugin, and how it does.
import type { PluginConfig, PluginId, PluginSettings } from "../../core/plugin.ts";

export interface RunRequest {
  readonly id: PluginId;
  /** Canonical; for messages. */
  readonly name: string;
  /** The plugin's `/`. Absolute; an existing directory of the host. */
  readonly rootfs: string;
  /**
   * The host's directory of its propagated mount, made where it is missing; null: the config names
   * none.
   */
  readonly propagated: string | null;
  readonly config: PluginConfig;
  readonly settings: PluginSettings;
}

export interface RunState {
  /** "restarting": it ended by itself, or did not start again, and is tried after a pause. */
  readonly state: "stopped" | "starting" | "running" | "restarting";
  /** Since when, in milliseconds since the epoch; 0: nothing is known of it. */
  readonly sinceMs: number;
  /** Why it does not run, one line; "" while it does, and where nothing went wrong. */
  readonly reason: string;
  /** How often it was started again since it last ran for a minute. */
  readonly restartCount: number;
  /** Short enough to connect to; "" while it does not run. Only this process may use it. */
  readonly socketPath: string;
  /** Another one for each start of its process; "" while it does not run. */
  readonly life: string;
}

/** What is known of a plugin that was never started. */
export const stoppedState: RunState = {
  state: "stopped",
  sinceMs: 0,
  reason: "",
  restartCount: 0,
  socketPath: "",
  life: "",
};
