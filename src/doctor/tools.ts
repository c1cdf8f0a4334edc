// Programs that Holdfast runs: what each is for, and which Debian package brings it.
import type { Finding, Severity } from "../core/doctor.ts";
import { firstLineOf, type Look } from "./machine.ts";

interface Tool {
  readonly program: string;
  /** By which it tells its version and does nothing else. */
  readonly versionOption: string;
  readonly debianPackage: string;
  readonly isFor: string;
  /** How bad it is when it is missing. */
  readonly without: Severity;
}

const tools: readonly Tool[] = [
  {
    ...{ program: "mount", versionOption: "--version", debianPackage: "mount" },
    ...{ isFor: "volumes with a device", without: "problem" },
  },
  {
    ...{ program: "umount", versionOption: "--version", debianPackage: "mount" },
    ...{ isFor: "volumes with a device", without: "problem" },
  },
  {
    ...{ program: "rm", versionOption: "--version", debianPackage: "coreutils" },
    ...{ isFor: "emptying the trash", without: "problem" },
  },
  {
    ...{ program: "mount.nfs", versionOption: "-V", debianPackage: "nfs-common" },
    ...{ isFor: "volumes with type=nfs", without: "note" },
  },
  {
    ...{ program: "mount.cifs", versionOption: "-V", debianPackage: "cifs-utils" },
    ...{ isFor: "volumes with type=cifs", without: "note" },
  },
  {
    ...{ program: "sshfs", versionOption: "-V", debianPackage: "sshfs" },
    ...{ isFor: "volumes with type=fuse.sshfs", without: "note" },
  },
];

/** Longer answers are no version. */
const VERSION_CHARACTERS_MAX = 100;

export const lookAtTools: Look = async (machine, operation) =>
  Promise.all(
    tools.map(async (tool): Promise<Finding> => {
      const { program, versionOption, debianPackage, isFor, without } = tool;
      const line = await firstLineOf(machine, [program, versionOption], operation);
      const about = `program ${program}`;
      if (line !== null) {
        // What it was built with stands behind it, in parentheses.
        const found = line.replace(/ \(libmount.*/, "").slice(0, VERSION_CHARACTERS_MAX);
        return { severity: "ok", about, found };
      }
      const found = `it is missing, and needed for ${isFor}`;
      return { severity: without, about, found, fix: `apt-get install ${debianPackage}` };
    }),
  );
