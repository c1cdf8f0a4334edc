// SMB: shares of Windows, Samba and most NAS, mounted by the kernel (cifs).
import type { VolumeDriver } from "../../core/driver.ts";
import { isAtOrBelow } from "../../core/mount-of.ts";
import { remoteDriver } from "../../remote/driver.ts";
import type { RemoteKind } from "../../remote/kind.ts";
import type { RemoteDriverParts } from "../../remote/parts.ts";
import { smbMounts } from "./mounts.ts";
import { parseSmbOptions, type SmbOptions, smbAddress, smbDevice, smbRules } from "./options.ts";

/** As mount tables call it. */
const smbTypes: ReadonlySet<string> = new Set(["cifs", "smb3"]);

/** What the kernel answers when its new connection is not let in: EACCES, ENOKEY, EKEY…. */
const refusedLogin = /permission denied|required key|key has (?:expired|been)|key was rejected/i;

/** The driver `smb`. Throws `storage.*` when its directories cannot be made. */
export function smbDriver(parts: RemoteDriverParts): VolumeDriver {
  return remoteDriver(smbKind(parts), parts);
}

function smbKind({ host }: RemoteDriverParts): RemoteKind<SmbOptions> {
  return {
    name: "smb",
    rules: smbRules,
    parse: parseSmbOptions,
    address: smbAddress,
    server: ({ server }) => server,
    place: smbDevice,
    ...smbMounts(host),
    writeProof: "probe",
    isLoginRefused: (words) => refusedLogin.test(words),
    shows: ({ fileSystem, source }, options, subpath) =>
      smbTypes.has(fileSystem) && isAtOrBelow(source, smbDevice(options, subpath)),
  };
}
