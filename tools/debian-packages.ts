// The Debian packages that tests and benchmarks use, and how to see that one is missing.
import { spawnSync } from "node:child_process";
import { findProgram } from "./find-program.ts";

/** Debian's own Python: another one earlier in PATH does not see Debian's Python packages. */
export const debianPython = "/usr/bin/python3";

/** What a command of package.json may ask for. `npm start` and `npm run build` ask for nothing. */
export type Purpose = "test" | "bench";

export interface DebianPackage {
  readonly package: string;
  /** What the package is looked up by: a program in PATH, or a module of Debian's Python. */
  readonly provides: { readonly program: string } | { readonly pythonModule: string };
  readonly purposes: readonly Purpose[];
  readonly neededFor: string;
}

/** One line for each; a line goes when the last test that needs it goes. */
export const debianPackages: readonly DebianPackage[] = [
  {
    package: "docker.io",
    provides: { program: "dockerd" },
    purposes: ["test", "bench"],
    neededFor: "comparing with the real Docker Engine",
  },
  {
    package: "docker.io",
    provides: { program: "docker" },
    purposes: ["test", "bench"],
    neededFor: "driving Holdfast with the unmodified docker command line",
  },
  {
    package: "python3-docker",
    provides: { pythonModule: "docker" },
    purposes: ["test"],
    neededFor: "driving Holdfast with docker-py",
  },
  {
    package: "e2fsprogs",
    provides: { program: "mkfs.ext4" },
    purposes: ["test", "bench"],
    neededFor: "ext4 images: full disks, volumes with a device, the benchmark's common disk",
  },
  {
    package: "btrfs-progs",
    provides: { program: "mkfs.btrfs" },
    purposes: ["test"],
    neededFor: "power cuts: images of a running disk are taken by cloning",
  },
  {
    package: "util-linux",
    provides: { program: "unshare" },
    purposes: ["test", "bench"],
    neededFor: "mount namespaces of their own for test daemons",
  },
  {
    package: "mount",
    provides: { program: "losetup" },
    purposes: ["test", "bench"],
    neededFor: "loop devices",
  },
  {
    package: "gcc",
    provides: { program: "gcc" },
    purposes: ["bench"],
    neededFor: "the load generator of the benchmark, written in C",
  },
  {
    package: "libc6-dev",
    provides: { program: "gencat" },
    purposes: ["bench"],
    neededFor: "the C headers of the load generator",
  },
  {
    package: "hyperfine",
    provides: { program: "hyperfine" },
    purposes: ["bench"],
    neededFor: "timing whole processes",
  },
];

/** True when the machine has what the line stands for, from whichever source. */
export function isInstalled(line: DebianPackage): boolean {
  if ("program" in line.provides) return findProgram(line.provides.program) !== undefined;
  const { pythonModule } = line.provides;
  const found = spawnSync(debianPython, ["-c", `import ${pythonModule}`], { stdio: "ignore" });
  return found.status === 0;
}
