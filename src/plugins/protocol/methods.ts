// The calls of Docker's volume plugin protocol: how long each may take, how much it may answer.

/** What holds for one call. None is ever sent twice: see `PluginClient`. */
export interface MethodPolicy {
  /** From the first try to connect to the last byte of the answer, in milliseconds. */
  readonly timeoutMs: number;
  /** A longer answer is cut off and counts as none. */
  readonly answerBytesMax: number;
}

/** JSON.parse of so much keeps the event loop for 50 ms at most. */
const ANSWER_BYTES_MAX = 512 * 1024;
const LIST_BYTES_MAX = 64 * 1024 * 1024;

/** Times are Docker's, but for what only asks: it lets Get, List and Capabilities have 60 s. */
export const pluginMethods = {
  "Plugin.Activate": { timeoutMs: 5_000, answerBytesMax: ANSWER_BYTES_MAX },
  "VolumeDriver.Create": { timeoutMs: 120_000, answerBytesMax: ANSWER_BYTES_MAX },
  "VolumeDriver.Remove": { timeoutMs: 60_000, answerBytesMax: ANSWER_BYTES_MAX },
  "VolumeDriver.Mount": { timeoutMs: 120_000, answerBytesMax: ANSWER_BYTES_MAX },
  "VolumeDriver.Unmount": { timeoutMs: 60_000, answerBytesMax: ANSWER_BYTES_MAX },
  "VolumeDriver.Get": { timeoutMs: 10_000, answerBytesMax: ANSWER_BYTES_MAX },
  "VolumeDriver.List": { timeoutMs: 10_000, answerBytesMax: LIST_BYTES_MAX },
  "VolumeDriver.Capabilities": { timeoutMs: 5_000, answerBytesMax: ANSWER_BYTES_MAX },
} as const satisfies Readonly<Record<string, MethodPolicy>>;

export type PluginMethod = keyof typeof pluginMethods;
