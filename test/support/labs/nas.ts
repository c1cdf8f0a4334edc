// The two kinds of NAS of the lab, as tests talk of them: what is the same is written once.
import type { DriverOptions } from "../../../src/core/driver.ts";
import type { Ability, Answer } from "../../../src/core/volume-report.ts";
import type { Lab } from "./lab.ts";
import { EXPORT_PATH, FULL_EXPORT_PATH, READ_ONLY_EXPORT_PATH } from "./nfs-server.ts";
import { SERVER_ADDRESS } from "./private-network.ts";
import { FULL_SHARE, READ_ONLY_SHARE, SHARE, SMB_PASSWORD, SMB_USER } from "./samba-server.ts";
import type { ServerSwitches } from "./server-process.ts";

export interface NasServer extends ServerSwitches {
  readonly address: string;
  /** To `OTHER_SERVER_ADDRESS`, or back. */
  move(): Promise<void>;
  /** Starts it anew, and now it takes no writes, or does again. */
  setReadOnly(isReadOnly: boolean): Promise<void>;
}

/** The name of the secret that logs in. */
export const NAS_SECRET = "lab-login";

export interface Nas {
  readonly driver: "nfs" | "smb";
  /** Of the whole share; the secret of `smb` is `NAS_SECRET`. */
  readonly options: DriverOptions;
  /** The same server at another address. */
  optionsAt(address: string): DriverOptions;
  server(lab: Lab): NasServer;
  /** As mount tables have the file system. */
  readonly fileSystem: string;
  /** Options that bring all that the kind can do, and others with which it is the same. */
  readonly optionSets: readonly DriverOptions[];
  /** What it shares, on this host. */
  folder(lab: Lab): string;
  /** What `holdfast doctor` finds: the guarantees of docs/drivers. */
  readonly abilities: Readonly<Partial<Record<Ability, Answer>>>;
  /** mount(8) with the driver's own options, for a directory that it shares. */
  byHand(directory: string, target: string): readonly string[];
  /** What it refuses, and in which words. */
  readonly failures: readonly (readonly [what: string, options: DriverOptions, words: RegExp])[];
}

const smbShare = (share: string, address = SERVER_ADDRESS) => `//${address}/${share}`;

function each(answer: Answer, ...abilities: readonly Ability[]): Nas["abilities"] {
  return Object.fromEntries(abilities.map((ability) => [ability, answer]));
}

export const nasKinds: readonly Nas[] = [
  {
    driver: "nfs",
    fileSystem: "nfs4",
    optionSets: [{}, { version: "4.2" }],
    abilities: {
      ...each("yes", "writable", "atomic-rename", "exclusive-create", "hard-links", "symlinks"),
      ...each("yes", "special-files", "unlink-open", "owners", "modes", "case-sensitive"),
      ...each("yes", "names-as-given", "long-names", "sparse-files", "large-files", "append"),
      ...each("yes", "flock", "posix-locks", "ofd-locks", "shared-mmap", "visible-elsewhere"),
      ...each("yes", "flock-elsewhere", "posix-locks-elsewhere", "fsync", "survives-power-cut"),
      ...each("no", "user-attributes", "security-attributes", "trusted-attributes", "acls"),
      ...each("no", "append-elsewhere", "on-this-machine"),
    },
    options: { server: SERVER_ADDRESS, path: EXPORT_PATH },
    optionsAt: (server) => ({ server, path: EXPORT_PATH }),
    server: ({ server }) => server,
    folder: ({ server }) => server.folder,
    byHand(directory, target) {
      const device = `${SERVER_ADDRESS}:${EXPORT_PATH}/${directory}`;
      return ["mount", "-t", "nfs", "-o", "rw,hard,vers=4", device, target];
    },
    failures: [
      ["a path that is not exported", { path: "/nowhere" }, /"mount".*no such file/i],
      [
        "an export for reading only",
        { path: READ_ONLY_EXPORT_PATH },
        /"write": making a file in [^ ]+:\/read-only failed: read-only/i,
      ],
      [
        "an export that is full",
        { path: FULL_EXPORT_PATH },
        /"write": .*full failed: no space .*make room/i,
      ],
    ],
  },
  {
    driver: "smb",
    fileSystem: "cifs",
    abilities: {
      ...each("yes", "writable", "atomic-rename", "exclusive-create", "hard-links"),
      ...each("yes", "unlink-open", "user-attributes", "long-names", "large-files", "append"),
      ...each("yes", "flock", "posix-locks", "ofd-locks", "shared-mmap", "visible-elsewhere"),
      ...each("yes", "flock-elsewhere", "posix-locks-elsewhere", "fsync"),
      ...each("no", "symlinks", "special-files", "owners", "modes", "case-sensitive"),
      ...each("no", "names-as-given", "security-attributes", "trusted-attributes", "acls"),
      ...each("no", "append-elsewhere", "on-this-machine"),
    },
    // By itself it has no symbolic links.
    optionSets: [{ options: "mfsymlinks" }, { options: "mfsymlinks", version: "3.1.1" }],
    options: { share: smbShare(SHARE), user: SMB_USER, secret: NAS_SECRET },
    optionsAt: (server) => ({ share: smbShare(SHARE, server), user: SMB_USER, secret: NAS_SECRET }),
    server: ({ samba }) => samba,
    folder: ({ samba }) => samba.folder,
    byHand(directory, target) {
      const words = `rw,hard,username=${SMB_USER},password=${SMB_PASSWORD}`;
      return ["mount", "-t", "cifs", "-o", words, `${smbShare(SHARE)}/${directory}`, target];
    },
    failures: [
      ["a share that is not there", { share: smbShare("nowhere") }, /"mount".*no such file/i],
      [
        "a share for reading only",
        { share: smbShare(READ_ONLY_SHARE) },
        /"write": .*\/read-only failed: .*denied/i,
      ],
      [
        "a share that is full",
        { share: smbShare(FULL_SHARE) },
        /"write": .*full failed: no space .*make room/i,
      ],
      ["a password that is wrong", { secret: "wrong" }, /"mount".*permission denied/i],
    ],
  },
];
