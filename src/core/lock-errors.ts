// The failures of locks, of the guard and of publishing: a part of the table in error-table.ts.
import type { ErrorEntry } from "./error-entry.ts";

export const lockErrors = {
  "lock.name_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Choose a name of 1 to 128 characters of [a-zA-Z0-9_.:@-].",
  },
  "lock.timed_out": {
    kind: "conflict",
    retry: true,
    recovery: "Wait for its holder, or longer; `holdfast lock ls` shows who has it.",
  },
  "lock.expired": {
    kind: "conflict",
    retry: true,
    recovery: "Stop what the lock was for, and take it again; renew it in time, or give it longer.",
  },
  "lock.stolen": {
    kind: "conflict",
    retry: true,
    recovery: "Stop what the lock was for; somebody took it away with `holdfast lock steal`.",
  },
  "lock.not_held": {
    kind: "not_found",
    retry: false,
    recovery: "Take it first: it has ended, or never was; `holdfast lock ls` shows what is held.",
  },
  "lock.no_volume": {
    kind: "denied",
    retry: false,
    recovery:
      "Call from inside a container that has the volume; elsewhere use `holdfast lock`, or the " +
      "daemon's own socket.",
  },
  "lock.too_many": {
    kind: "exhausted",
    retry: true,
    recovery: "Wait until some of the locks or waiters that the message counts are gone.",
  },
  "host.unsupported": {
    kind: "unsupported",
    retry: false,
    recovery: "Use another file system or kernel, or do without: the message says what is missing.",
  },
  "publish.path_invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Name a directory within the volume, as in assets:/www; the one above it must exist.",
  },
  "publish.archive_invalid": {
    kind: "invalid",
    retry: false,
    recovery:
      "Publish a directory, or a plain tar (not compressed) of files, directories and links.",
  },
  "publish.target_unfit": {
    kind: "conflict",
    retry: false,
    recovery: "Move what the message names out of the way, or publish to another path.",
  },
  "publish.not_atomic": {
    kind: "unsupported",
    retry: false,
    recovery:
      "Publish to a path where nothing is yet, which becomes a symbolic link that is moved at " +
      "once; or accept that readers find nothing for a moment: --allow-gap.",
  },
  "publish.nothing_kept": {
    kind: "not_found",
    retry: false,
    recovery: "Publish first: a tree is kept when another one takes its place, unless --keep 0.",
  },
  "publish.changed": {
    kind: "conflict",
    retry: true,
    recovery: "See who else writes to that path of the volume, and publish again.",
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;
