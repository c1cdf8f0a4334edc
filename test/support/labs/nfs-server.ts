// A real NFS 4.2 server that a test may kill, freeze, move and start again.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../daemon.ts";
import type { NasServer } from "./nas.ts";
import { OTHER_SERVER_ADDRESS, type PrivateNetwork, SERVER_ADDRESS } from "./private-network.ts";
import { startServer } from "./server-process.ts";

/** What clients mount. */
export const EXPORT_PATH = "/export";
/** The same directory, for reading only. */
export const READ_ONLY_EXPORT_PATH = "/read-only";
/** Another one, without any room. */
export const FULL_EXPORT_PATH = "/full";
const FULL_EXPORT_BYTES = 262_144;

export interface NfsServer extends NasServer {
  /** The exported directory on this host. */
  readonly folder: string;
}

/** Starts nfs-ganesha inside the network. */
export async function startNfsServer(network: PrivateNetwork): Promise<NfsServer> {
  const own = temporaryDirectory();
  const [folder, full, state] = [join(own, "export"), join(own, "full"), join(own, "state")];
  const [file, log] = [join(own, "ganesha.conf"), join(own, "log")];
  for (const each of [folder, full, state]) mkdirSync(each);
  const size = `size=${FULL_EXPORT_BYTES}`;
  let address = SERVER_ADDRESS;
  let access: "RW" | "RO" = "RW";
  const remove = () => rmSync(own, { recursive: true, force: true });
  try {
    await network.run("mount", "--types", "tmpfs", "--options", size, "holdfast-full", full);
    // Nothing fits in any more.
    await network.run("fallocate", "--length", String(FULL_EXPORT_BYTES), join(full, "all"));
    const switches = await startServer({
      command() {
        writeFileSync(log, "");
        writeFileSync(file, configuration({ address, access, folder, full, state }));
        const files = ["-f", file, "-L", log, "-p", join(own, "pid")];
        return network.command("ganesha.nfsd", "-F", ...files);
      },
      isEntered: true,
      log,
      isReady: () => readFileSync(log, "utf8").includes("NFS SERVER INITIALIZED"),
    });
    return {
      ...switches,
      folder,
      get address() {
        return address;
      },
      async move() {
        const to = address === SERVER_ADDRESS ? OTHER_SERVER_ADDRESS : SERVER_ADDRESS;
        await switches.kill();
        await network.readdress(address, to);
        address = to;
        await switches.start();
      },
      async setReadOnly(isReadOnly) {
        access = isReadOnly ? "RO" : "RW";
        await switches.kill();
        await switches.start();
      },
      async [Symbol.asyncDispose]() {
        await switches.kill();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

interface Places {
  readonly address: string;
  /** Of the directory that clients mount. */
  readonly access: "RW" | "RO";
  readonly folder: string;
  readonly full: string;
  readonly state: string;
}

/** No Kerberos, no rpcbind, no waiting for clients of an earlier life. */
function configuration({ address, access: usual, folder, full, state }: Places): string {
  const exports = [
    [folder, EXPORT_PATH, usual],
    [folder, READ_ONLY_EXPORT_PATH, "RO"],
    [full, FULL_EXPORT_PATH, "RW"],
  ] as const;
  return `
NFS_CORE_PARAM {
  Protocols = 4; NFS_Port = 2049; Bind_addr = ${address};
  Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
}
MDCACHE { Dir_Chunk = 0; }
NFS_KRB5 { Active_krb5 = false; }
NFSv4 {
  Grace_Period = 20; Lease_Lifetime = 20; Graceless = true;
  RecoveryRoot = "${state}"; Minor_Versions = 0, 1, 2;
}
${exports
  .map(
    ([path, pseudo, access], index) => `
EXPORT {
  # Tests change the directory behind its back.
  Attr_Expiration_Time = 0;
  Export_Id = ${index + 1}; Path = "${path}"; Pseudo = ${pseudo}; Access_Type = ${access};
  Squash = none; SecType = sys; Protocols = 4; FSAL { Name = VFS; }
}`,
  )
  .join("\n")}
`;
}
