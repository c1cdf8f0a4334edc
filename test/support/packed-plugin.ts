// Real volume plugins packed as managed ones, of what this machine has installed: rclone as its
// makers pack it, and sshfs behind the protocol part of the tests' own plugin.
//
// The folders that are made hold `config.json` and `rootfs/`, as `docker plugin create` takes them.
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../tools/find-program.ts";
import { compiledPlugin } from "./plugin-rootfs.ts";
import { makeProgramTree } from "./program-image.ts";

/** What both ask for: they mount FUSE, and reach servers from where the host does. */
const common = {
  network: { type: "host" },
  linux: { capabilities: ["CAP_SYS_ADMIN"], devices: [{ path: "/dev/fuse" }] },
};

/**
 * `rclone serve docker`. `/store` in it is a directory of the host that an installation names with
 * `store.source=PATH`: volumes with `-o remote=:local:/store/NAME` lie there. Needs "rclone".
 */
export async function packRclone(folder: string): Promise<void> {
  await pack(folder, ["rclone", "fusermount"], ["data", "mnt", "store"], {
    description: "rclone as a managed plugin",
    documentation: "https://rclone.org/docker",
    entrypoint: ["/usr/bin/rclone", "serve", "docker"],
    workdir: "/data",
    interface: { types: ["docker.volumedriver/1.0"], socket: "rclone.sock" },
    propagatedMount: "/mnt",
    env: [
      variable("RCLONE_BASE_DIR", "/mnt"),
      variable("RCLONE_CACHE_DIR", "/data/cache"),
      variable("RCLONE_CONFIG", "/data/rclone.conf"),
      variable("PATH", "/usr/sbin:/usr/bin"),
    ],
    args: { name: "args", description: "", settable: ["value"], value: [] },
    mounts: [bind("store", "/store", ["rbind"])],
    ...common,
  });
}

/**
 * sshfs with the options of vieux/sshfs: `sshcmd=USER@HOST:/PATH`, and anything that sshfs knows.
 * `/root/.ssh` in it is a directory of the host that an installation names with
 * `sshkey.source=PATH`. Needs "sshfs" and "plugin-compiler".
 */
export async function packSshfs(folder: string): Promise<void> {
  await pack(folder, ["sshfs", "ssh", "fusermount3"], ["mnt/volumes", "root/.ssh"], {
    description: "sshFS plugin for Docker",
    documentation: "",
    entrypoint: ["/usr/bin/plugin"],
    interface: { types: ["docker.volumedriver/1.0"], socket: "sshfs.sock" },
    propagatedMount: "/mnt/volumes",
    env: [
      variable("DATA", "/mnt/volumes"),
      variable("SOCKET", "sshfs.sock"),
      variable("PATH", "/usr/sbin:/usr/bin"),
    ],
    mounts: [bind("sshkey", "/root/.ssh", ["rbind", "ro"])],
    ...common,
  });
  const program = join(folder, "rootfs/usr/bin/plugin");
  copyFileSync(await compiledPlugin(), program);
  chmodSync(program, 0o755);
}

async function pack(
  folder: string,
  names: readonly string[],
  rootFolders: readonly string[],
  config: object,
): Promise<void> {
  const programs = names.map(pathOf);
  await makeProgramTree(join(folder, "rootfs"), { programs, rootFolders, accountName: "data" });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config, null, 2));
}

function pathOf(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`no program ${name} to pack`);
  return path;
}

function variable(name: string, value: string) {
  return { name, description: "", settable: ["value"], value };
}

/** A directory of the host, which the installation names. */
function bind(name: string, destination: string, options: readonly string[]) {
  return {
    ...{ name, description: "", settable: ["source"], destination, type: "bind" },
    ...{ source: "/var/empty", options },
  };
}
