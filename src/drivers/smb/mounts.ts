// Mounts of SMB, and what mount.cifs(8) says when it fails.
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { type FailureWords, kernelMount, kernelUnmount } from "../../remote/kernel-mounts.ts";
import type { RemoteKind } from "../../remote/kind.ts";
import { credentialLines, withCredentials } from "./credentials.ts";
import { type SmbOptions, smbDevice, smbWords } from "./options.ts";

/** By the number of the error where there is one: its words are those of the C library. */
const failures: FailureWords = [
  [/mount error\((?:1|13|126|127|128|129)\)|permission denied|logon failure/i, "remote.denied"],
  [/mount error\((?:2|20|6)\)|no such file or directory/i, "remote.not_found"],
  [/mount error\((?:101|103|104|110|111|112|113|115)\)|host is down/i, "remote.unreachable"],
  [/could not resolve address|unable to find suitable address/i, "remote.unreachable"],
];

/** The same hint behind every failure. */
const noise = /;?\s*Refer to the mount\.cifs\(8\) manual page.*$/i;

export function smbMounts(
  host: Pick<Host, "mount" | "unmount" | "detach">,
): Pick<RemoteKind<SmbOptions>, "mount" | "unmount"> {
  return {
    async mount(mount, operation) {
      const { options, subpath, target, secret, runDirectory } = mount;
      const mountWith = (login: string) =>
        kernelMount(
          host,
          {
            type: "cifs",
            device: smbDevice(options, subpath),
            target,
            options: [login, ...smbWords(options, mount)],
            failures,
            noise,
          },
          operation,
        );
      if (secret === undefined) {
        if (options.user !== undefined) throw withoutPassword(options.user);
        await mountWith("guest");
        return;
      }
      const lines = credentialLines(await secret(), options.user);
      await withCredentials(runDirectory, lines, (file) => mountWith(`credentials=${file}`));
    },
    unmount: ({ target }, how, operation) => kernelUnmount(host, target, how, operation),
  };
}

function withoutPassword(user: string): EngineError {
  const message = `user ${user} has no password: give \`-o secret=NAME\``;
  return new EngineError("remote.denied", message);
}
