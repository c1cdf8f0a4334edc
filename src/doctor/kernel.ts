// The kernel, and who asks.
import type { Finding } from "../core/doctor.ts";
import { type Look, textOf } from "./machine.ts";

/** mount_setattr(2), by which holds are told apart (decision 0006). */
const holdsNeed = { major: 5, minor: 12 };

export const lookAtKernel: Look = async (machine) => {
  const release = textOf(machine, "/proc/sys/kernel/osrelease")?.trim() ?? "";
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const needed = `${holdsNeed.major}.${holdsNeed.minor}`;
  const about = "kernel";
  if (major === undefined || minor === undefined) {
    return [{ severity: "warning", about, found: `its version cannot be read: "${release}"` }];
  }
  const isNew =
    Number(major) > holdsNeed.major ||
    (Number(major) === holdsNeed.major && Number(minor) >= holdsNeed.minor);
  if (isNew) return [{ severity: "ok", about, found: `Linux ${release}; holds need ${needed}` }];
  const found = `Linux ${release} cannot tell the holds of containers apart, ${needed} can`;
  const fix = "boot a newer kernel; until then use Holdfast by its own API only";
  return [{ severity: "problem", about, found, fix }];
};

export const lookAtUser: Look = async ({ userId }) => {
  const about = "user";
  const found: Finding =
    userId === 0
      ? { severity: "ok", about, found: "root" }
      : {
          severity: "note",
          about,
          found: `user ${userId}: some things cannot be seen, and it is about this user's daemon`,
          fix: "run it as root to look at the system's daemon",
        };
  return [found];
};
