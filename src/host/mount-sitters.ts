// Who sits on a mount that another one hides: by working directory or by an open file.
import { readdir, readFile, readlink } from "node:fs/promises";
import { parseMountTable } from "./mount-table.ts";

/** `Host.sitsBelow`. What ends meanwhile, or may not be looked at, sits nowhere. */
export async function sitsBelow(pid: number, target: string): Promise<boolean> {
  const table = parseMountTable(await textOf(`/proc/${pid}/mountinfo`));
  const hidden = table.filter((mount) => mount.target === target).map(({ mountId }) => mountId);
  // The topmost is the last one.
  hidden.pop();
  const namespace = await linkOf(`/proc/${pid}/ns/mnt`);
  if (namespace === "") return false;
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    if ((await linkOf(`/proc/${name}/ns/mnt`)) !== namespace) continue;
    const directory = await linkOf(`/proc/${name}/cwd`);
    if (directory === target || directory.startsWith(`${target}/`)) return true;
    if (await hasOpen(name, new Set(hidden))) return true;
  }
  return false;
}

/** By the kernel's number of the mount that each file was opened on: the file is not asked. */
async function hasOpen(pid: string, mountIds: ReadonlySet<number>): Promise<boolean> {
  if (mountIds.size === 0) return false;
  for (const name of await namesIn(`/proc/${pid}/fdinfo`)) {
    const [, digits] = /^mnt_id:\s*(\d+)$/m.exec(await textOf(`/proc/${pid}/fdinfo/${name}`)) ?? [];
    if (digits !== undefined && mountIds.has(Number(digits))) return true;
  }
  return false;
}

function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

function linkOf(path: string): Promise<string> {
  return readlink(path).catch(() => "");
}

function namesIn(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => []);
}
