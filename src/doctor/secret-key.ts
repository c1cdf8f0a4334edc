// The key that the secrets are sealed with: that it is there, for the daemon alone, and not where
// the data is. By helper processes only, because the data root's storage may not answer.
import type { Finding } from "../core/doctor.ts";
import { isAtOrBelow, mountOf } from "../core/mount-of.ts";
import type { Operation } from "../core/operation.ts";
import type { Look, Machine } from "./machine.ts";

const about = "secret key";
/** What group and others must not have. */
const OTHERS_BITS = 0o077;
const inMemory: ReadonlySet<string> = new Set(["tmpfs", "ramfs"]);

export const lookAtSecretKey: Look = async (machine, operation) => {
  const { host, secretKey, userId } = machine;
  const format = ["--dereference", "--format=%a %u %F", "--", secretKey];
  const { exitCode, stdout } = await host.run("stat", format, operation);
  if (exitCode !== 0) return [await missing(machine, operation)];
  const [mode = "", owner = "", ...kind] = stdout.trim().split(" ");
  if (!kind.join(" ").startsWith("regular")) {
    return [problem(`${secretKey} is no file but a ${kind.join(" ")}`, `move it away`)];
  }
  if (Number(owner) !== 0 && Number(owner) !== userId) {
    const found = `${secretKey} belongs to the user ${owner}, and is refused`;
    return [problem(found, `chown ${userId} ${secretKey}`)];
  }
  const shown = mode.padStart(4, "0");
  if ((Number.parseInt(mode, 8) & OTHERS_BITS) !== 0) {
    const found = `others may use ${secretKey} (mode ${shown}), and so it is refused`;
    return [problem(found, `chmod 600 ${secretKey}; if others have read it, make a new one`)];
  }
  return [await placed(machine, shown, operation)];
};

async function missing(machine: Machine, operation: Operation): Promise<Finding> {
  const { host, dataRoot, secretKey } = machine;
  const words = ["-maxdepth", "1", "-type", "f", "-not", "-name", ".*", "-print", "-quit"];
  const { stdout } = await host.run("find", [`${dataRoot}/secrets`, ...words], operation);
  if (stdout.trim() === "") return { severity: "ok", about, found: "no secret is kept yet" };
  return problem(
    `${secretKey} is not there, and secrets are sealed with it`,
    "put it back, or give the secrets anew: holdfast secret create --replace NAME",
  );
}

async function placed(
  { host, dataRoot, secretKey }: Machine,
  mode: string,
  operation: Operation,
): Promise<Finding> {
  const args = ["--canonicalize-missing", "--", secretKey, dataRoot];
  const { stdout } = await host.run("realpath", args, operation);
  const [key = secretKey, root = dataRoot] = stdout.trim().split("\n");
  if (isAtOrBelow(key, root)) {
    const found = `${key} lies in the data root: whoever copies that has the secrets, too`;
    return problem(found, "move it, and set secret-key in /etc/holdfast/config.toml");
  }
  const fileSystem = mountOf(host.mounts(), key)?.fileSystem ?? "";
  if (inMemory.has(fileSystem)) {
    const found = `${key} is in memory (${fileSystem}): a reboot takes it, and all secrets with it`;
    const fix = "move it to a disk, and set secret-key in /etc/holdfast/config.toml";
    return { severity: "warning", about, found, fix };
  }
  return { severity: "ok", about, found: `${key}, mode ${mode}, outside of the data root` };
}

function problem(found: string, fix: string): Finding {
  return { severity: "problem", about, found, fix };
}
