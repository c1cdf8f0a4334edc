// Checks that package-lock.json is whole, so that `npm ci` works on a fresh machine.
import type { Finding } from "./finding.ts";

interface LockedPackage {
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

const path = "package-lock.json";

/**
 * npm leaves a platform's package out when a registry does not have it, and then refuses the same
 * lockfile in `npm ci`. And one that names a registry's host works only where that host answers.
 */
export function lockfileFindings({ packages }: Lockfile): readonly Finding[] {
  return Object.entries(packages).flatMap(([name, { resolved, optionalDependencies = {} }]) => [
    ...(resolved === undefined ? [] : [{ path, message: `${name} names a registry's host` }]),
    ...Object.keys(optionalDependencies)
      .filter((dependency) => !isLocked(dependency))
      .map((dependency) => ({ path, message: `${dependency}, of ${name}, is missing` })),
  ]);

  function isLocked(dependency: string): boolean {
    return Object.keys(packages).some((one) => one.endsWith(`node_modules/${dependency}`));
  }
}
