// Installs the Debian packages that a command needs, where it may, and says what stays missing.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import {
  type DebianPackage,
  debianPackages,
  isInstalled,
  type Purpose,
} from "./debian-packages.ts";
import { findProgram } from "./find-program.ts";

/** Another apt run, of the system's own timers for example, is waited for as long. */
const aptLockSeconds = 120;

const servicePolicy = "/usr/sbin/policy-rc.d";

/**
 * One apt run for everything that is missing; nothing at all when nothing is. Never fails: what
 * needs a missing package says so itself. HOLDFAST_INSTALL=never leaves the machine as it is.
 */
export function installPackages(purpose: Purpose): void {
  const missing = debianPackages.filter(
    (line) => line.purposes.includes(purpose) && !isInstalled(line),
  );
  if (missing.length === 0) return;
  const obstacle = whyNot();
  if (obstacle === undefined) {
    apt("update", "-qq");
    const names = [...new Set(missing.map(availableName))];
    console.error(`set-up: installing Debian packages: ${names.join(" ")}`);
    withoutServices(() => apt("install", "-qq", "--yes", "--no-install-recommends", ...names));
  } else {
    console.error(`set-up: Debian packages are not installed: ${obstacle}`);
  }
  for (const line of missing.filter((one) => !isInstalled(one))) {
    const names = line.packages.join(" or ");
    console.error(`set-up: ${names} is missing (${line.neededFor}); what needs it is skipped`);
  }
}

/**
 * Packages start the services that they bring (nginx, PostgreSQL, a Docker Engine), unless this
 * file of Debian's says no; tests need the programs alone. An administrator's own file stays.
 */
function withoutServices(install: () => void): void {
  const isOurs = !existsSync(servicePolicy);
  if (isOurs) writeFileSync(servicePolicy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    install();
  } finally {
    if (isOurs) rmSync(servicePolicy);
  }
}

function whyNot(): string | undefined {
  if (process.env["HOLDFAST_INSTALL"] === "never") return "HOLDFAST_INSTALL=never";
  if (process.getuid?.() !== 0) return "not running as root";
  return findProgram("apt-get") === undefined ? "no apt-get on this machine" : undefined;
}

function availableName(line: DebianPackage): string {
  const known = line.packages.find(
    (name) => spawnSync("apt-cache", ["show", name], { stdio: "ignore" }).status === 0,
  );
  return known ?? line.packages.join(" ");
}

function apt(...parameters: readonly string[]): void {
  const options = ["-o", `DPkg::Lock::Timeout=${aptLockSeconds}`, "-o", "Dpkg::Use-Pty=0"];
  const { status } = spawnSync("apt-get", [...options, ...parameters], {
    // Standard output belongs to the results; all progress goes to stderr.
    stdio: ["ignore", 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (status !== 0) console.error(`set-up: apt-get ${parameters[0]} ended with ${status}`);
}
