// The two kinds of NAS of the lab, as tests talk of them: what is the same is written once.
import type { DriverOptions } from "../../../src/core/driver.ts";
import type { Lab } from "./lab.ts";
import { EXPORT_PATH, FULL_EXPORT_PATH, READ_ONLY_EXPORT_PATH } from "./nfs-server.ts";
import { SERVER_ADDRESS } from "./private-network.ts";
import { FULL_SHARE, READ_ONLY_SHARE, SHARE, SMB_USER } from "./samba-server.ts";
import type { ServerSwitches } from "./server-process.ts";

export interface Nas {
  readonly driver: "nfs" | "smb";
  /** Of the whole share; the secret of `smb` is `nas`. */
  readonly options: DriverOptions;
  /** The same server at another address. */
  optionsAt(address: string): DriverOptions;
  server(lab: Lab): ServerSwitches & { readonly address: string; move(): Promise<void> };
  /** What it shares, on this host. */
  folder(lab: Lab): string;
  /** What it refuses, and in which words. */
  readonly failures: readonly (readonly [what: string, options: DriverOptions, words: RegExp])[];
}

const smbShare = (share: string, address = SERVER_ADDRESS) => `//${address}/${share}`;

export const nasKinds: readonly Nas[] = [
  {
    driver: "nfs",
    options: { server: SERVER_ADDRESS, path: EXPORT_PATH },
    optionsAt: (server) => ({ server, path: EXPORT_PATH }),
    server: ({ server }) => server,
    folder: ({ server }) => server.folder,
    failures: [
      ["a path that is not exported", { path: "/nowhere" }, /"mount".*no such file/i],
      ["an export for reading only", { path: READ_ONLY_EXPORT_PATH }, /"write".*read-only/i],
      ["an export that is full", { path: FULL_EXPORT_PATH }, /no space left/i],
    ],
  },
  {
    driver: "smb",
    options: { share: smbShare(SHARE), user: SMB_USER, secret: "nas" },
    optionsAt: (server) => ({ share: smbShare(SHARE, server), user: SMB_USER, secret: "nas" }),
    server: ({ samba }) => samba,
    folder: ({ samba }) => samba.folder,
    failures: [
      ["a share that is not there", { share: smbShare("nowhere") }, /"mount".*no such file/i],
      ["a share for reading only", { share: smbShare(READ_ONLY_SHARE) }, /"write".*denied/i],
      ["a share that is full", { share: smbShare(FULL_SHARE) }, /no space left/i],
      ["a password that is wrong", { secret: "wrong" }, /"mount".*permission denied/i],
    ],
  },
];
