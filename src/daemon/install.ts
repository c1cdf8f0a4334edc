// `holdfast install` and `uninstall`: the installation, this program and this machine put together.
import type { DaemonOption, Installer } from "../core/installation.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { linuxHost } from "../host/linux.ts";
import { install } from "../install/install.ts";
import type { InstallParts } from "../install/parts.ts";
import { uninstall } from "../install/uninstall.ts";
import { gitCommit, version } from "./build-facts.ts";
import { readConfig } from "./config.ts";
import { settingEntries, settings, variableOf } from "./settings.ts";

/** A service that does not end within this time is a failure that is told. */
const PROGRAMS_MS_MAX = 600_000;

/** See core/installation.ts. Throws `config.invalid` for what the installed daemon would refuse. */
export function thisInstaller(): Installer {
  const parts = (destdir: string | undefined): InstallParts => ({
    host: linuxHost(),
    operation: {
      id: makeOperationId("install"),
      caller: systemCaller,
      signal: AbortSignal.timeout(PROGRAMS_MS_MAX),
      log: silentLog,
    },
    executable: gitCommit === "source" ? undefined : process.execPath,
    version,
    // A package knows nothing of the machine that it is made on.
    ...(destdir === undefined ? servicePlaces() : standardPlaces),
    machineRoot: "",
    systemdFolder: "/run/systemd/system",
  });
  return {
    daemonOptions: settingEntries.map(
      ([name, { takes, about, default: standard }]): DaemonOption => ({
        option: `--${name} ${takes}`,
        variable: variableOf(name),
        about,
        default: standard,
      }),
    ),
    install: (request) => install(request, parts(request.destdir)),
    uninstall: (request) => uninstall(request, parts(request.destdir)),
  };
}

const standardPlaces = {
  root: settings.root.default,
  secretKey: settings["secret-key"].default,
};

/** As the service will read them: root, without variables of whoever installs. */
function servicePlaces(): Pick<InstallParts, "root" | "secretKey"> {
  const { root, secretKey } = readConfig({ args: [], environment: {}, userId: 0 });
  return { root, secretKey };
}
