// The Debian packages that tests and benchmarks use, and how to see that one is missing.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "./find-program.ts";

/** Debian's own Python: another one earlier in PATH does not see Debian's Python packages. */
export const debianPython = "/usr/bin/python3";

/**
 * What a command of package.json may ask for. `npm start` and `npm run build` ask for nothing,
 * `npm run test:nightly` asks for "test" and "nightly".
 */
export type Purpose = "test" | "nightly" | "bench";

export interface DebianPackage {
  /** The first of these that the machine's Debian has: names changed between releases. */
  readonly packages: readonly string[];
  /** What shows that it is there: a program in PATH, a module of Debian's Python, a file, …. */
  readonly provides:
    | { readonly program: string }
    | { readonly pythonModule: string }
    | { readonly file: string }
    | { readonly isThere: () => boolean };
  readonly purposes: readonly Purpose[];
  readonly neededFor: string;
}

/** The kernel that it is tested with, user-mode Linux, exists for this processor only. */
const ganeshaVfs = "/usr/lib/x86_64-linux-gnu/ganesha/libfsalvfs.so";

/** Debian's place for all PostgreSQLs, a directory for each version. */
const postgresFolders = "/usr/lib/postgresql";

/** That of the newest with a server, which `bin/` is in; undefined: there is none. */
export function postgresFolder(): string | undefined {
  if (!existsSync(postgresFolders)) return undefined;
  return readdirSync(postgresFolders)
    .toSorted((one, other) => Number(other) - Number(one))
    .map((version) => join(postgresFolders, version))
    .find((folder) => existsSync(join(folder, "bin/postgres")));
}

/** One line for each; a line goes when the last test that needs it goes. */
const lines = [
  {
    packages: ["docker.io"],
    provides: { program: "dockerd" },
    purposes: ["test", "bench"],
    neededFor: "comparing with the real Docker Engine",
  },
  {
    packages: ["docker-cli", "docker.io"],
    provides: { program: "docker" },
    purposes: ["test", "bench"],
    neededFor: "driving Holdfast with the unmodified docker command line",
  },
  {
    packages: ["podman"],
    provides: { program: "podman" },
    purposes: ["test"],
    neededFor: "volumes in Podman's containers",
  },
  {
    packages: ["runc"],
    provides: { program: "runc" },
    purposes: ["test", "bench"],
    neededFor: "running Podman's containers, and managed plugins",
  },
  {
    packages: ["crun"],
    provides: { program: "crun" },
    purposes: ["test"],
    neededFor: "managed plugins where there is no runc",
  },
  {
    packages: ["conmon"],
    provides: { program: "conmon" },
    purposes: ["test", "bench"],
    neededFor: "the parent of a managed plugin's process",
  },
  {
    packages: ["docker-registry"],
    provides: { program: "docker-registry" },
    purposes: ["test", "bench"],
    neededFor: "a real registry on loopback, to pull plugins from and push them to",
  },
  {
    packages: ["apache2-utils"],
    provides: { program: "htpasswd" },
    purposes: ["test"],
    neededFor: "the passwords of such a registry",
  },
  {
    packages: ["openssl"],
    provides: { program: "openssl" },
    purposes: ["test"],
    neededFor: "certificates for such a registry, and for its clients",
  },
  {
    packages: ["rclone"],
    provides: { program: "rclone" },
    purposes: ["test", "bench"],
    neededFor: "a volume plugin that others wrote, on a socket and managed",
  },
  {
    packages: ["busybox-static"],
    provides: { program: "busybox" },
    purposes: ["test"],
    neededFor: "the image of the tests' containers, made without a network",
  },
  {
    packages: ["docker-compose"],
    provides: { program: "docker-compose" },
    purposes: ["test"],
    neededFor: "Compose projects with volumes of Holdfast",
  },
  {
    packages: ["postgresql"],
    provides: { isThere: () => postgresFolder() !== undefined },
    purposes: ["test"],
    neededFor: "a database on a volume, under load",
  },
  {
    packages: ["nginx-light"],
    provides: { program: "nginx" },
    purposes: ["test"],
    neededFor: "web servers that share a volume",
  },
  {
    packages: ["iproute2"],
    provides: { program: "ip" },
    purposes: ["test"],
    neededFor: "networks of the tests' own, for a Swarm too",
  },
  {
    packages: ["python3-docker"],
    provides: { pythonModule: "docker" },
    purposes: ["test"],
    neededFor: "driving Holdfast with docker-py",
  },
  {
    packages: ["curl"],
    provides: { program: "curl" },
    purposes: ["test"],
    neededFor: "running the commands of the guides",
  },
  {
    packages: ["e2fsprogs"],
    provides: { program: "mkfs.ext4" },
    purposes: ["test", "bench"],
    neededFor: "ext4 images: full disks, volumes with a device, the benchmark's common disk",
  },
  {
    packages: ["xfsprogs"],
    provides: { program: "mkfs.xfs" },
    purposes: ["test"],
    neededFor: "power cuts on xfs",
  },
  {
    packages: ["btrfs-progs"],
    provides: { program: "mkfs.btrfs" },
    purposes: ["test"],
    neededFor: "power cuts: images of a running disk are taken by cloning",
  },
  {
    packages: ["strace"],
    provides: { program: "strace" },
    purposes: ["test"],
    neededFor: "counting the syncs of a commit, and failing one",
  },
  {
    packages: ["systemd"],
    provides: { program: "systemd-analyze" },
    purposes: ["test"],
    neededFor: "reading the units of an installation as systemd does",
  },
  {
    packages: ["groff-base"],
    provides: { program: "groff" },
    purposes: ["test"],
    neededFor: "reading the manual page as man does",
  },
  {
    packages: ["util-linux"],
    provides: { program: "unshare" },
    purposes: ["test", "bench"],
    neededFor: "mount namespaces of their own for test daemons",
  },
  {
    packages: ["mount"],
    provides: { program: "losetup" },
    purposes: ["test", "bench"],
    neededFor: "loop devices",
  },
  {
    packages: ["openssh-server"],
    provides: { program: "sshd" },
    purposes: ["test"],
    neededFor: "a server on loopback that stops answering",
  },
  {
    packages: ["sshfs"],
    provides: { program: "sshfs" },
    purposes: ["test"],
    neededFor: "volumes on such a server, mounted by mount(8)",
  },
  {
    packages: ["user-mode-linux"],
    provides: { program: "linux.uml" },
    purposes: ["test"],
    neededFor: "a kernel with clients of NFS and SMB, whatever this machine's own has",
  },
  {
    packages: ["nfs-ganesha"],
    provides: { program: "ganesha.nfsd" },
    purposes: ["test"],
    neededFor: "a real NFS server",
  },
  {
    packages: ["nfs-ganesha-vfs"],
    provides: { file: ganeshaVfs },
    purposes: ["test"],
    neededFor: "the NFS server's access to local folders",
  },
  {
    packages: ["nfs-common"],
    provides: { program: "mount.nfs" },
    purposes: ["test"],
    neededFor: "mounting NFS",
  },
  {
    packages: ["samba"],
    provides: { program: "smbd" },
    purposes: ["test"],
    neededFor: "a real SMB server",
  },
  {
    packages: ["cifs-utils"],
    provides: { program: "mount.cifs" },
    purposes: ["test"],
    neededFor: "mounting SMB",
  },
  {
    packages: ["kmod"],
    provides: { program: "insmod" },
    purposes: ["test"],
    neededFor: "the modules of user-mode Linux",
  },
  {
    packages: ["golang-go"],
    provides: { program: "go" },
    purposes: ["nightly"],
    neededFor: "the client of locks in Go",
  },
  {
    packages: ["iptables"],
    provides: { program: "iptables" },
    purposes: ["nightly"],
    neededFor: "networks that lose everything",
  },
  {
    packages: ["ceph-mon"],
    provides: { program: "ceph-mon" },
    purposes: ["nightly"],
    neededFor: "the cluster behind a real S3 server",
  },
  {
    packages: ["ceph-mgr"],
    provides: { program: "ceph-mgr" },
    purposes: ["nightly"],
    neededFor: "the same",
  },
  {
    packages: ["ceph-osd"],
    provides: { program: "ceph-osd" },
    purposes: ["nightly"],
    neededFor: "the same",
  },
  {
    packages: ["radosgw"],
    provides: { program: "radosgw" },
    purposes: ["nightly"],
    neededFor: "a real S3 server, which takes and lists as cloud storage does",
  },
  {
    packages: ["gcc"],
    provides: { program: "gcc" },
    purposes: ["test", "bench"],
    neededFor: "the tests' plugin and the benchmark's load generator, written in C",
  },
  {
    packages: ["libc6-dev"],
    provides: { file: "/usr/include/stdio.h" },
    purposes: ["test", "bench"],
    neededFor: "their C headers, and the library that the plugin is linked to",
  },
  {
    packages: ["hyperfine"],
    provides: { program: "hyperfine" },
    purposes: ["bench"],
    neededFor: "timing whole processes",
  },
] as const satisfies readonly DebianPackage[];

export const debianPackages: readonly DebianPackage[] = lines;

/** The programs that the list installs: a test that asks for another one is a type error. */
export type ListedProgram = Extract<
  (typeof lines)[number]["provides"],
  { readonly program: string }
>["program"];

/** The package in which a program of the list is, in words: "docker-cli or docker.io". */
export function packageOf(program: ListedProgram): string {
  const line = debianPackages.find(
    ({ provides }) => "program" in provides && provides.program === program,
  );
  return line?.packages.join(" or ") ?? program;
}

/** True when the machine has what the line stands for, from whichever source. */
export function isInstalled({ provides }: DebianPackage): boolean {
  if ("program" in provides) return findProgram(provides.program) !== undefined;
  if ("isThere" in provides) return provides.isThere();
  if ("file" in provides) return existsSync(provides.file);
  const command = ["-c", `import ${provides.pythonModule}`];
  return spawnSync(debianPython, command, { stdio: "ignore" }).status === 0;
}
