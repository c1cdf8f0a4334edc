// The group that may use the API's socket: Docker's where there is one, else our own.
import { readFileSync } from "node:fs";
import path from "node:path";
import { isErrno } from "../core/errors.ts";
import { attempt } from "./put-file.ts";

/** Made where the machine has neither. */
export const ownGroup = "holdfast";

/** The first one that exists is taken, as the daemon does it. */
export const usualGroups = ["docker", ownGroup];

/** Its members by /etc/group; undefined: there is no such group. Throws `install.failed`. */
export function groupMembers(base: string, name: string): readonly string[] | undefined {
  const file = path.join(base, "/etc/group");
  const text = attempt(`reading ${file}`, () => readIfThere(file));
  for (const line of text.split("\n")) {
    const [group, , , members = ""] = line.split(":");
    if (group === name) return members.split(",").filter((member) => member !== "");
  }
  return undefined;
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}
