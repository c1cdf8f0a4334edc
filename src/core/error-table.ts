// Every failure Holdfast can report, in one closed table.
import type { ErrorEntry } from "./error-entry.ts";
import { lockErrors } from "./lock-errors.ts";
import { pluginErrors } from "./plugin-errors.ts";
import { remoteErrors } from "./remote-errors.ts";

export type { ErrorEntry, ErrorKind } from "./error-entry.ts";

/**
 * The table. `docs/reference/errors.md` is generated from it; a code nobody throws fails a test.
 */
export const errorTable = {
  "request.invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Correct the field that the message names and send the request again.",
  },
  "request.no_route": {
    kind: "not_found",
    retry: false,
    recovery: "Use a route that `/holdfast/v1/openapi.json` lists.",
  },
  "filter.invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Use one of the filters that the route documents, with a value it accepts.",
  },
  "volume.name_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Choose a name of 2 to 255 characters of [a-zA-Z0-9_.-], beginning with [a-zA-Z0-9].",
  },
  "volume.option_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Correct the option that the message names.",
  },
  "volume.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "List what exists with `holdfast volume ls`.",
  },
  "volume.exists_differently": {
    kind: "conflict",
    retry: false,
    recovery: "Use another name, or the driver that has the volume.",
  },
  "volume.in_use": {
    kind: "conflict",
    retry: true,
    recovery:
      "Remove the containers that are named, have other holders unmount it, and wait for its " +
      "locks; then try again.",
  },
  "volume.shared_elsewhere": {
    kind: "conflict",
    retry: true,
    recovery: "Stop that container, or wait for its end: the volume allows one at a time.",
  },
  "volume.written_elsewhere": {
    kind: "conflict",
    retry: true,
    recovery:
      "Stop that container, or give the new one the volume read-only (`:ro`): one at a time may " +
      "write to it.",
  },
  "volume.not_visible": {
    kind: "unavailable",
    retry: false,
    recovery:
      "Run `mount --make-rshared /` before the container engine starts, then restart the engine.",
  },
  "volume.unknown": {
    kind: "unavailable",
    retry: true,
    recovery: "The driver cannot say whether the volume is there; look at its storage.",
  },
  "volume.data_missing": {
    kind: "corrupt",
    retry: false,
    recovery:
      "The directory of a volume that was used is gone; bring it back before using it again.",
  },
  "volume.data_foreign": {
    kind: "conflict",
    retry: false,
    recovery:
      "Something other than a plain directory is in the volume's place; look at it by hand.",
  },
  "volume.mount_failed": {
    kind: "unavailable",
    retry: true,
    recovery:
      "Read the mount program's own words in the message; correct the options or the server.",
  },
  "volume.unmount_failed": {
    kind: "unavailable",
    retry: true,
    recovery: "End the processes that still use the mount, then try again.",
  },
  "volume.moving": {
    kind: "conflict",
    retry: true,
    recovery: "Repeat the adopt or release that was cut short; it is also tried again by itself.",
  },
  "volume.protected": {
    kind: "conflict",
    retry: false,
    recovery: "Lift the protection with `holdfast volume unprotect`, which wants the name again.",
  },
  "volume.name_taken": {
    kind: "conflict",
    retry: false,
    recovery: "Give another name, with `--as` where something is restored.",
  },
  "confirmation.missing": {
    kind: "invalid",
    retry: false,
    recovery: "Give the name again, as the confirmation that this one is meant.",
  },
  "trash.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "List what can be restored with `holdfast trash ls`.",
  },
  "trash.ambiguous": {
    kind: "conflict",
    retry: false,
    recovery: "Give the id of one of them; `holdfast trash ls` shows them.",
  },
  "trash.purging": {
    kind: "conflict",
    retry: false,
    recovery: "Its destruction has begun and cannot be undone; restore from a backup.",
  },
  "prune.plan_not_found": {
    kind: "not_found",
    retry: false,
    recovery: "Make a new plan with `holdfast volume prune --plan`.",
  },
  "adoption.in_use": {
    kind: "conflict",
    retry: true,
    recovery:
      "Stop and remove the containers that the message names (`docker rm`, `docker-compose " +
      "down`): their data stays. Make them anew afterwards.",
  },
  "adoption.other_file_system": {
    kind: "unsupported",
    retry: false,
    recovery: "Copy the data into a new volume; the message has the commands.",
  },
  "adoption.refused": {
    kind: "unsupported",
    retry: false,
    recovery: "Copying the data into a new volume works wherever adopting does not.",
  },
  "driver.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "Use a driver of `holdfast info` or `plugin ls`, or install its plugin again.",
  },
  "driver.unsupported": {
    kind: "unsupported",
    retry: false,
    recovery: "Make a volume with a driver that can, and copy the data into it.",
  },
  "driver.timed_out": {
    kind: "unavailable",
    retry: true,
    recovery: "The storage did not answer in time; look at its server, then try again.",
  },
  "driver.suspended": {
    kind: "unavailable",
    retry: true,
    recovery: "The driver failed repeatedly and is given a rest; it is tried again by itself.",
  },
  ...pluginErrors,
  ...remoteErrors,
  ...lockErrors,
  "containers.unreachable": {
    kind: "unavailable",
    retry: true,
    recovery:
      "Start that container engine again; one that is gone for good is forgotten with " +
      "`holdfast engine forget`.",
  },
  "prune.running": {
    kind: "conflict",
    retry: true,
    recovery: "Wait until the other prune has ended.",
  },
  "storage.full": {
    kind: "exhausted",
    retry: true,
    recovery: "Free space below the data root; removing volumes still works.",
  },
  "storage.read_only": {
    kind: "unavailable",
    retry: true,
    recovery: "Make the file system of the data root writable again.",
  },
  "storage.failed": {
    kind: "unavailable",
    retry: true,
    recovery: "Look at the disk below the data root (kernel log, SMART) before going on.",
  },
  "state.locked": {
    kind: "conflict",
    retry: true,
    recovery: "Stop the daemon or program that has it, or give this daemon another --root.",
  },
  "state.too_new": {
    kind: "unsupported",
    retry: false,
    recovery: "Run the newer Holdfast that wrote this state, or restore a copy from before.",
  },
  "state.moved": {
    kind: "conflict",
    retry: false,
    recovery:
      "Move the root back, start the daemon, and stop what has the volumes; then move the root.",
  },
  "host.program_missing": {
    kind: "unavailable",
    retry: false,
    recovery: "Install the Debian package that the message names.",
  },
  "host.denied": {
    kind: "denied",
    retry: false,
    recovery: "Run the daemon as root, or choose a --root that it may write.",
  },
  "config.invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Correct the option, variable or configuration line that the message names.",
  },
  "install.impossible": {
    kind: "unsupported",
    retry: false,
    recovery: "Build the executable with `npm run build`, then run `dist/holdfast install`.",
  },
  "install.held": {
    kind: "conflict",
    retry: true,
    recovery:
      "Remove the containers that use volumes first; or add --force, and their mounts go on " +
      "without anybody who watches them.",
  },
  "install.failed": {
    kind: "unavailable",
    retry: true,
    recovery: "Correct what the message says, and run the command again: it goes on from there.",
  },
  "engine.not_a_container_engine": {
    kind: "unsupported",
    retry: false,
    recovery: "Send container, image and network requests to Docker; Holdfast keeps volumes.",
  },
  "engine.unknown": {
    kind: "not_found",
    retry: false,
    recovery: "List the container engines with `holdfast engine ls`.",
  },
  "engine.in_use": {
    kind: "conflict",
    retry: true,
    recovery:
      "Remove those containers first, or have it forgotten all the same with " +
      "`holdfast engine forget --force`.",
  },
  "engine.no_swarm": {
    kind: "unavailable",
    retry: false,
    recovery: "Cluster volumes need a swarm manager; use an ordinary volume.",
  },
  "engine.no_such_object": {
    kind: "not_found",
    retry: false,
    recovery: "Holdfast has volumes only; ask a container engine for anything else.",
  },
  "engine.overloaded": {
    kind: "unavailable",
    retry: true,
    recovery: "Too many ask for the same at once; try again when some have ended.",
  },
  "engine.stopping": {
    kind: "unavailable",
    retry: true,
    recovery: "The daemon is shutting down; try again when it is back.",
  },
  "operation.cancelled": {
    kind: "cancelled",
    retry: true,
    recovery: "Send the request again if it is still wanted.",
  },
  "operation.timed_out": {
    kind: "unavailable",
    retry: true,
    recovery: "Another operation on the same volume takes long; see `holdfast events`.",
  },
  "internal.bug": {
    kind: "internal",
    retry: false,
    recovery: "Report it with the report id and the log lines that carry it.",
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;

/** A precise, stable name of a failure: tests and scripts act on it, never on the message. */
export type ErrorCode = keyof typeof errorTable;
