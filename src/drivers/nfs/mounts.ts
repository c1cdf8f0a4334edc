// Mounts of NFS, and what mount.nfs(8) says when it fails.
import type { Host } from "../../core/host.ts";
import { type FailureWords, kernelMount, kernelUnmount } from "../../remote/kernel-mounts.ts";
import type { RemoteKind } from "../../remote/kind.ts";
import { type NfsOptions, nfsDevice, nfsWords } from "./options.ts";

const failures: FailureWords = [
  [/access denied|permission denied|operation not permitted/i, "remote.denied"],
  [/no such file or directory|not a directory/i, "remote.not_found"],
  [
    /timed? ?out|refused|no route to host|unreachable|host is down|connection reset/i,
    "remote.unreachable",
  ],
  [/failed to resolve|name or service not known|portmap|not registered/i, "remote.unreachable"],
];

export function nfsMounts(
  host: Pick<Host, "mount" | "unmount" | "detach">,
): Pick<RemoteKind<NfsOptions>, "mount" | "unmount"> {
  return {
    async mount(mount, operation) {
      const { options, subpath, target } = mount;
      const request = {
        type: "nfs",
        device: nfsDevice(options, subpath),
        target,
        options: nfsWords(options, mount),
        failures,
      };
      await kernelMount(host, request, operation);
    },
    unmount: ({ target }, how, operation) => kernelUnmount(host, target, how, operation),
  };
}
