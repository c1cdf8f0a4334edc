// `holdfast uninstall`: takes back what was installed, as it was installed, and never data.
import { existsSync, rmdirSync } from "node:fs";
import path from "node:path";
import { EngineError } from "../core/errors.ts";
import type { StepReport, UninstallRequest } from "../core/installation.ts";
import { holdsDirectoryOf, isAtOrBelow } from "../core/mount-of.ts";
import { groupMembers } from "./groups.ts";
import { manifestPath } from "./layout.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { baseOf, hasSystemd, type InstallParts, mustRun } from "./parts.ts";
import { hashOfFile, removeFile } from "./put-file.ts";
import { stop } from "./systemd.ts";

/** How many mounts a refusal names. */
const MOUNTS_NAMED_MAX = 3;

/** Measured with dockerd 20.10 and 24: an activated driver stays in its table until it ends. */
const dockerRemembers: StepReport = {
  state: "warning",
  what: "a Docker Engine that has used the driver remembers it",
  why: "restart it (systemctl restart docker), or its volume commands wait 15 seconds each",
};

/** See core/installation.ts. Throws `install.held`, `install.failed`. */
export async function* uninstall(
  request: UninstallRequest,
  parts: InstallParts,
): AsyncGenerator<StepReport> {
  const base = baseOf(request.destdir, parts);
  const isHere = request.destdir === undefined;
  const manifest = readManifest(base);
  if (manifest === undefined) {
    const why = `there is no ${path.join(base, manifestPath)}`;
    yield { state: "unchanged", what: "nothing is installed", why };
    return;
  }
  if (isHere) yield* refuseWhileHeld(request, parts);
  if (isHere && request.isDryRun) yield { state: "planned", what: "systemctl disable --now" };
  if (isHere && !request.isDryRun) yield* stop(parts);

  for (const file of manifest.files.toReversed()) yield removeInstalled(file, base, request);
  if (isHere && !request.isDryRun && hasSystemd(parts)) {
    yield await mustRun(parts, ["systemctl", "daemon-reload"]);
    yield* unmountHolds(parts);
  }
  if (isHere) yield* removeGroup(manifest, request, parts);
  if (!request.isDryRun) {
    removeFile(path.join(base, manifestPath));
    for (const folder of manifest.directories.toReversed()) removeEmpty(base + folder);
  }
  if (isHere) yield dockerRemembers;
  if (isHere) yield { state: "kept", what: parts.root, why: "volumes and their state are data" };
  if (isHere) yield* keptKey(parts);
}

/** By the kernel's table: whether a daemon runs does not matter. */
function* refuseWhileHeld(
  { isForced }: UninstallRequest,
  { host, root }: InstallParts,
): Generator<StepReport> {
  const targets = host
    .mounts()
    .map(({ target }) => target)
    .filter((target) => target !== root && isAtOrBelow(target, root))
    // The daemon's own: it is there while nothing is held, too.
    .filter((target) => target !== holdsDirectoryOf(root));
  if (targets.length === 0) return;
  const named = targets.slice(0, MOUNTS_NAMED_MAX).join(", ");
  const more = targets.length > MOUNTS_NAMED_MAX ? ", …" : "";
  const what = `volumes are in use: ${targets.length} mounts (${named}${more})`;
  if (!isForced) throw new EngineError("install.held", what, { details: { targets } });
  const why = "they go on, and so do the containers that use them; nobody watches them any more";
  yield { state: "warning", what, why };
}

/** So that nothing of the data root is busy. The daemon has ended: systemd ended it. */
function* unmountHolds({ host, root }: InstallParts): Generator<StepReport> {
  const holds = holdsDirectoryOf(root);
  const mounts = host.mounts();
  const isMount = mounts.some(({ target }) => target === holds);
  // Forced: there are holds that go on.
  if (!isMount || mounts.some(({ target }) => target.startsWith(`${holds}/`))) return;
  const what = `umount ${holds}`;
  if (host.unbind(holds) === "gone") yield { state: "done", what };
  else yield { state: "kept", what: holds, why: "a process is in it" };
}

/** It opens other machines' storage: it goes with the data root, or not at all. */
function* keptKey({ secretKey, machineRoot }: InstallParts): Generator<StepReport> {
  const what = machineRoot + secretKey;
  if (!existsSync(what)) return;
  const why = "it opens the secrets in the data root: whoever removes that removes the key, too";
  yield { state: "kept", what, why };
}

function removeInstalled(
  { path: installed, sha256 }: Manifest["files"][number],
  base: string,
  { isDryRun }: UninstallRequest,
): StepReport {
  const what = path.join(base, installed);
  const there = hashOfFile(what);
  if (there === undefined) return { state: "unchanged", what, why: "it is gone already" };
  if (there !== sha256) {
    return { state: "kept", what, why: "it was changed by hand since; remove it yourself" };
  }
  if (isDryRun) return { state: "planned", what: `remove ${what}` };
  removeFile(what);
  return { state: "done", what: `remove ${what}` };
}

async function* removeGroup(
  { madeGroup }: Manifest,
  { isDryRun }: UninstallRequest,
  parts: InstallParts,
): AsyncGenerator<StepReport> {
  if (madeGroup === null) return;
  const members = groupMembers(parts.machineRoot, madeGroup);
  if (members === undefined) return;
  const words = ["groupdel", madeGroup];
  if (members.length > 0) {
    const why = `it has members: ${members.join(", ")}`;
    yield { state: "kept", what: `group ${madeGroup}`, why };
  } else if (isDryRun) yield { state: "planned", what: words.join(" ") };
  else yield await mustRun(parts, words);
}

/** Whoever put something else there needs it. */
function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not empty, or gone already: both are as they should be.
  }
}
