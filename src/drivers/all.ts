// The drivers of this build: a plain list, so that what is in the program can be read here.
import type { VolumeDriver } from "../core/driver.ts";
import type { DriverManual } from "../core/driver-manual.ts";
import type { Host } from "../core/host.ts";
import type { SecretStore } from "../core/secret-store.ts";
import type { OptionRule } from "../remote/kind.ts";
import { commonOptions } from "../remote/options.ts";
import { localDriver } from "./local/driver.ts";
import { localRules } from "./local/rules.ts";
import { nfsDriver } from "./nfs/driver.ts";
import { nfsRules } from "./nfs/options.ts";
import { rcloneDriver } from "./rclone/driver.ts";
import { rcloneRules } from "./rclone/options.ts";
import { smbDriver } from "./smb/driver.ts";
import { smbRules } from "./smb/options.ts";
import { sshfsDriver } from "./sshfs/driver.ts";
import { sshfsRules } from "./sshfs/options.ts";

/** Every built-in driver, working below `root`. */
export function builtInDrivers(parts: {
  readonly root: string;
  /** Absolute, in memory: for what a boot may take. */
  readonly runDirectory: string;
  readonly host: Host;
  readonly secrets: Pick<SecretStore, "read">;
  /** The state knows of no volumes yet. */
  readonly isFirstStart: boolean;
}): readonly VolumeDriver[] {
  const remote = [nfsDriver(parts), smbDriver(parts), sshfsDriver(parts), rcloneDriver(parts)];
  return [localDriver(parts), ...remote];
}

/** What they take, in the same order. */
export function driverManuals(): readonly DriverManual[] {
  const remote = (rules: readonly OptionRule[]) => optionsOf([...rules, ...commonOptions]);
  return [
    {
      driver: "local",
      summary: "A directory on this host, or whatever mount can mount on it",
      options: optionsOf(localRules),
    },
    { driver: "nfs", summary: "A directory that a server exports", options: remote(nfsRules) },
    { driver: "smb", summary: "A share of Windows, Samba or a NAS", options: remote(smbRules) },
    { driver: "sshfs", summary: "A directory that SSH reaches", options: remote(sshfsRules) },
    {
      driver: "rclone",
      summary: "S3, WebDAV and every other cloud that rclone knows",
      options: remote(rcloneRules),
    },
  ];
}

function optionsOf(rules: readonly OptionRule[]): DriverManual["options"] {
  return rules.map(({ name, value, help, isRequired, defaultValue, rule }) => ({
    ...{ name, value, help, isRequired: isRequired ?? false },
    defaultValue: defaultValue ?? null,
    rule: rule?.words ?? null,
  }));
}
