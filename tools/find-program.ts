// Finds an installed program by its name, the way a shell would, and without one.
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

/** Where Debian keeps what an administrator runs; a user's PATH often leaves these out. */
const systemFolders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** The absolute path of the program, or `undefined` when this machine does not have it. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), ...systemFolders];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return path.startsWith("/") && statSync(path).isFile();
  } catch {
    return false;
  }
}
