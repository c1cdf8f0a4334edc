// What the root of a plugin may do: Docker's default for containers, and what was granted.
import type { PluginConfig } from "../../core/plugin.ts";

/** In Docker's order. */
const defaultCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
] as const;

/** The sets of a process, as the OCI runtime specification names them. */
export interface Capabilities {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  /** Not there at all where nothing was granted, as in Docker's. */
  readonly inheritable?: readonly string[];
}

/** Names that the kernel does not know are left to the runtime, which passes over them. */
export function capabilitiesOf(config: PluginConfig): Capabilities {
  const granted = config.linux.capabilities ?? [];
  const all = [...defaultCapabilities, ...granted];
  const sets = { bounding: all, effective: all, permitted: all };
  return granted.length === 0 ? sets : { ...sets, inheritable: granted };
}
