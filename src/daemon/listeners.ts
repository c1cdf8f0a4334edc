// Which of systemd's sockets is for what.
import type { InheritedListener } from "../host/service.ts";

/** `FileDescriptorName=` of holdfast-plugin.socket: the volume driver's socket. */
export const pluginListenerName = "plugin";

/** Descriptors by their purpose, in the order in which they came. */
export interface SplitListeners {
  /** For clients: all that have another name, or none. */
  readonly api: readonly number[];
  /** For container engines: the protocol of volume drivers is spoken there, and nothing else. */
  readonly plugin: readonly number[];
}

/** Pure: neither opens nor closes anything. */
export function splitListeners(inherited: readonly InheritedListener[]): SplitListeners {
  const isPlugin = ({ name }: InheritedListener) => name === pluginListenerName;
  return {
    api: inherited.filter((each) => !isPlugin(each)).map(({ descriptor }) => descriptor),
    plugin: inherited.filter(isPlugin).map(({ descriptor }) => descriptor),
  };
}
