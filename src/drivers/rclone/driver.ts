// The `rclone` driver: every cloud storage that rclone knows, with a cache that loses nothing.
import type { VolumeDriver } from "../../core/driver.ts";
import type { Host } from "../../core/host.ts";
import { remoteDriver } from "../../remote/driver.ts";
import { FuseLogs } from "../../remote/fuse-logs.ts";
import type { RemoteKind } from "../../remote/kind.ts";
import type { RemoteDriverParts } from "../../remote/parts.ts";
import { joined } from "./config.ts";
import { greet } from "./greet.ts";
import { checkSettings } from "./known-settings.ts";
import { lookRclone, mountRclone, unmountRclone } from "./mounts.ts";
import {
  parseRcloneOptions,
  type RcloneOptions,
  rcloneAddress,
  rcloneRules,
  rcloneServer,
  settingRule,
} from "./options.ts";
import { rcloneRefusal } from "./refusal.ts";

/** What rclone says of a backend without `about`. */
const INVENTED_BYTES = 2 ** 50;

/** See `remoteDriver`. */
export function rcloneDriver(parts: RemoteDriverParts): VolumeDriver {
  return remoteDriver(rcloneKind(parts.host), parts);
}

export function rcloneKind(host: Host): RemoteKind<RcloneOptions> {
  const fuse = { host, logs: new FuseLogs() };
  return {
    name: "rclone",
    program: "rclone",
    rules: rcloneRules,
    openRule: settingRule,
    parse: parseRcloneOptions,
    // chown(2) and chmod(2) succeed and change nothing.
    fixedOwner: () => ["uid", "gid", "umask"],
    vet: ({ settings }, operation) => checkSettings(host, settings.keys(), operation),
    address: rcloneAddress,
    server: rcloneServer,
    place: ({ remote, path }, subpath) => `${remote}:${joined(path, subpath)}`,
    // Of a backend that does not tell: 1 PiB, whatever it has.
    isInvented: ({ sizeBytes }) => sizeBytes >= INVENTED_BYTES,
    mount: (mount, operation) => mountRclone(fuse, mount, operation),
    unmount: (mount, how, operation) => unmountRclone(fuse, mount, how, operation),
    look: (mount) => lookRclone(fuse, mount),
    writeBack: {
      trialOptions: (options) => ({ ...options, "write-back": "0.1" }),
      refusal: (mount, operation) => rcloneRefusal(host, mount, operation),
    },
    greet: (options, operation) => greet(options, operation.signal),
  };
}
