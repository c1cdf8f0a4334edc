// What the client machine's first process does before it listens: places to write to, modules of
// the kernel, its end of the network, its disk.
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { resolve } from "node:path";

const repository = resolve(import.meta.dir, "../../..");

/** Each with all that it needs; those of SMB's signatures and encryption it asks for at a mount. */
const modules = [
  ...["nfsv4", "cifs", "fuse"],
  ...[
    "hmac",
    "cmac",
    "ecb",
    "ctr",
    "ghash-generic",
    "gcm",
    "ccm",
    "seqiv",
    "sha512_generic",
    "nls_utf8",
  ],
] as const;

/** Of disks in the order in which they are given: `ubda` would be the root. */
export const diskLetters = ["b", "c", "d", "e"];

export interface MachineSetup {
  readonly address: string;
  /** Directories to mount its disks on: `ubdb`, then `ubdc`, … */
  readonly disks: readonly string[];
  readonly serialLine: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Does all of it; what fails is told on the console, and shows in the tests. */
export function prepareMachine({ address, disks, serialLine, environment }: MachineSetup): void {
  const attempt = (program: string, ...parameters: readonly string[]): boolean => {
    const { status, stderr } = spawnSync(program, parameters, {
      env: { ...environment },
      encoding: "utf8",
    });
    if (status !== 0) console.error(`${program} ${parameters.join(" ")}: ${status} ${stderr}`);
    return status === 0;
  };
  attempt("mount", "-t", "tmpfs", "tmpfs", "/mnt");
  // The sources may lie in what is covered here.
  const kept = "/mnt/repository";
  mkdirSync(kept);
  attempt("mount", "--bind", repository, kept);
  for (const place of ["/tmp", "/run"]) {
    attempt("mount", "-t", "tmpfs", "tmpfs", place);
    if (!repository.startsWith(`${place}/`)) continue;
    mkdirSync(repository, { recursive: true });
    attempt("mount", "--bind", kept, repository);
  }
  // The kernel has a /dev of its own; the tests' own directories are there on the host.
  mkdirSync("/dev/shm", { recursive: true });
  attempt("mount", "-t", "hostfs", "-o", "/dev/shm", "none", "/dev/shm");
  attempt("mount", "-t", "sysfs", "sysfs", "/sys");
  // Where modprobe(8) looks, in a place that may be written to.
  mkdirSync("/run/lib");
  symlinkSync("/usr/lib/uml/modules", "/run/lib/modules");
  attempt("modprobe", "--dirname=/run", "--all", ...modules);
  attempt("ip", "link", "set", "lo", "up");
  attempt("ip", "address", "add", address, "dev", "vec0");
  attempt("ip", "link", "set", "vec0", "up");
  for (const [index, target] of disks.entries()) {
    const device = `/dev/ubd${diskLetters[index]}`;
    mkdirSync(target, { recursive: true });
    attempt("mount", device, target);
  }
  attempt("stty", "--file", serialLine, "raw", "-echo");
}
