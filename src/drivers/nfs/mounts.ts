// Mounts of NFS, and what mount.nfs(8) says when it fails.
import { EngineError, toEngineError } from "../../core/errors.ts";
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
      try {
        await kernelMount(host, request, operation);
      } catch (thrown) {
        throw withVersion(thrown);
      }
    },
    unmount: ({ target }, how, operation) => kernelUnmount(host, target, how, operation),
  };
}

/** Old servers have version 3 alone, which nobody is given unasked. */
function withVersion(thrown: unknown): unknown {
  const error = toEngineError(thrown);
  if (!/protocol not supported|requested nfs version/i.test(error.message)) return thrown;
  const hint = "the server does not have this version: an old one may need `-o version=3`";
  return new EngineError(error.code, `${error.message} (${hint})`, {
    cause: thrown,
    details: error.details,
  });
}
