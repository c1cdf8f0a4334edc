// NFS: directories that another machine exports, mounted by the kernel.
import type { VolumeDriver } from "../../core/driver.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";
import { remoteDriver } from "../../remote/driver.ts";
import type { RemoteKind } from "../../remote/kind.ts";
import type { RemoteDriverParts } from "../../remote/parts.ts";
import { greetNfs } from "./greet.ts";
import { nfsMounts } from "./mounts.ts";
import { type NfsOptions, nfsAddress, nfsDevice, nfsRules, parseNfsOptions } from "./options.ts";

/** The driver `nfs`. Throws `storage.*` when its directories cannot be made. */
export function nfsDriver(parts: RemoteDriverParts): VolumeDriver {
  return remoteDriver(nfsKind(parts), parts);
}

function nfsKind({ host }: RemoteDriverParts): RemoteKind<NfsOptions> {
  return {
    name: "nfs",
    rules: nfsRules,
    parse: parseNfsOptions,
    address: nfsAddress,
    server: ({ server }) => server,
    place: nfsDevice,
    ...nfsMounts(host),
    writeProof: "access",
    shows: ({ fileSystem, source }, options, subpath) =>
      fileSystem.startsWith("nfs") && isAtOrBelow(source, nfsDevice(options, subpath)),
    async greet(options, { signal }) {
      const id = Number.parseInt(host.randomHex(4), 16);
      const version = options.version === "3" ? 3 : 4;
      await greetNfs(nfsAddress(options), { version, id }, signal);
    },
  };
}
