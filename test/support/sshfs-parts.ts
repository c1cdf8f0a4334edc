// The driver sshfs over a real sshd, for the conformance checks and for whoever wants a driver.
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BenchParts } from "../../src/conformance/driver-bench.ts";
import { ownPlaces } from "../../src/conformance/own-places.ts";
import type { VolumeDriver } from "../../src/core/driver.ts";
import type { Host } from "../../src/core/host.ts";
import { SecretValue } from "../../src/core/secret-store.ts";
import { openBenchFiles } from "../../src/daemon/bench-files.ts";
import { sshfsDriver } from "../../src/drivers/sshfs/driver.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { behindRemote } from "./behind-remote.ts";
import { randomHex, temporaryFolder } from "./driver-benches.ts";
import type { SshServer } from "./labs/ssh-server.ts";
import { testOperation } from "./operation.ts";

const host = linuxHost();

export interface SshfsPlaces {
  readonly root: string;
  /** The directory of the server. */
  readonly served: string;
  /** Options that reach it. */
  readonly options: Readonly<Record<string, string>>;
  /** The driver, as after a start of the daemon, on this machine or one that is a little other. */
  open(other?: Partial<Host>): VolumeDriver;
  /** Ends all mounts, and removes everything. */
  release(): Promise<void>;
}

/** Places of their own for one driver. Whoever asks releases them. */
export function sshfsPlaces(server: SshServer): SshfsPlaces {
  const root = temporaryFolder("sshfs");
  const served = join(root, "served");
  mkdirSync(served);
  const key = readFileSync(join(server.folder, "user"));
  const parts = {
    root: join(root, "data"),
    runDirectory: join(root, "run"),
    host,
    secrets: { read: async () => new SecretValue(key) },
  };
  return {
    root,
    served,
    options: { host: "127.0.0.1", port: String(server.port), path: served, secret: "key" },
    open: (other = {}) => sshfsDriver({ ...parts, host: { ...host, ...other } }),
    async release() {
      for (const { target } of host.mounts()) {
        if (target.startsWith(`${root}/`)) await host.detach(target, testOperation());
      }
      for (const entry of readdirSync(root, { recursive: true, encoding: "utf8" })) {
        if (/^data\/.*\/data$/.test(entry)) host.seal(join(root, entry), false);
      }
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A bench over it, for the conformance checks. */
export function sshfsParts(server: SshServer): BenchParts {
  const places = sshfsPlaces(server);
  const { root, served, options } = places;
  const { driver, placeOf } = ownPlaces(places.open(), "checks");
  const folder = join(root, "data", "remote", "sshfs");
  return {
    driver,
    files: openBenchFiles(join(root, "bench")),
    // What is changed behind its back is to be seen at once.
    optionSets: [
      { ...options, cache: "0" },
      { ...options, cache: "0", timeout: "10" },
    ],
    randomHex,
    ...behindRemote({ volumes: folder, served, placeOf }),
    release: places.release,
  };
}
