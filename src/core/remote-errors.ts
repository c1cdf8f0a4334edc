// The failures of storage on other machines, and of secrets: a part of the table in
// error-table.ts.
import type { ErrorEntry } from "./error-entry.ts";

export const remoteErrors = {
  "remote.test_failed": {
    kind: "unavailable",
    retry: true,
    recovery: "Correct what the message names, or give `-o test=off` to leave the test out.",
  },
  "remote.unreachable": {
    kind: "unavailable",
    retry: true,
    recovery: "See that the server runs and can be reached from this host; nothing else is needed.",
  },
  "remote.denied": {
    kind: "denied",
    retry: false,
    recovery: "Correct the secret with `holdfast secret create --replace`, or the server's rights.",
  },
  "remote.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "Correct the path, share or bucket that the message names, or make it there.",
  },
  "remote.unsaved": {
    kind: "conflict",
    retry: true,
    recovery: "Wait until what was written is on the server: `holdfast volume flush`.",
  },
  "secret.not_found": {
    kind: "not_found",
    retry: false,
    recovery: "Make it with `holdfast secret create`; `holdfast secret ls` shows those there are.",
  },
  "secret.exists": {
    kind: "conflict",
    retry: false,
    recovery: "Give `--replace` to put a new value into its place.",
  },
  "secret.in_use": {
    kind: "conflict",
    retry: true,
    recovery: "Remove the volumes that are named, or give them another secret.",
  },
  "secret.invalid": {
    kind: "invalid",
    retry: false,
    recovery: "Correct what the message names.",
  },
  "secret.unreadable": {
    kind: "corrupt",
    retry: false,
    recovery:
      "Put the key file back, or make the secret anew with `holdfast secret create --replace`.",
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;
