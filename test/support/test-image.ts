// An image for containers of the tests: one static busybox under the names of its commands.
//
// Made from what the machine has, so nothing is downloaded. Besides /bin it has /data, an empty
// directory of user 999 with mode 0700, and /seeded with a file `hello`: what copy-up copies.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../tools/find-program.ts";
import { type Ended, runToEnd } from "./child.ts";

/** The name it is loaded under; for Podman `localhost/` comes before it by itself. */
export const testImage = "holdfast-test:1";

/** Of /data: an account that exists nowhere else. */
export const imageUserId = 999;

const tarTimeoutMs = 30_000;

const commands = [
  "awk cat chmod chown cp cut date dd df echo env false find grep head id kill ln ls mkdir mv",
  "nc od printf ps pwd readlink rm rmdir sed seq sh sleep sort stat sync tail tee test timeout",
  "touch tr true umount wc",
].flatMap((line) => line.split(" "));

/**
 * Loads the image by `run`, which drives `docker` or `podman` (`import` means the same to both).
 * Needs root, for the owners in it.
 */
export async function loadTestImage(
  run: (...parameters: readonly string[]) => Promise<Ended>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-image-"));
  try {
    const archive = join(folder, "image.tar");
    await makeArchive(join(folder, "root"), archive);
    const loaded = await run("import", archive, testImage);
    if (loaded.exit !== 0) throw new Error(`importing the image: ${loaded.stderr}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeArchive(root: string, archive: string): Promise<void> {
  mkdirSync(join(root, "bin"), { recursive: true });
  makeBasicTree(root, "data");
  for (const name of ["data", "seeded"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "seeded/hello"), "hello\n");
  chownSync(join(root, "data"), imageUserId, imageUserId);
  chmodSync(join(root, "data"), 0o700);
  await makeTar(root, archive);
}

/** What every image has: busybox in /bin, which is there, the usual directories, two accounts. */
export function makeBasicTree(root: string, accountName: string): void {
  const busybox = findProgram("busybox");
  if (busybox === undefined) throw new Error("no busybox (Debian package busybox-static)");
  for (const name of ["etc", "tmp", "proc", "sys", "dev", "run"]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  copyFileSync(busybox, join(root, "bin/busybox"));
  chmodSync(join(root, "bin/busybox"), 0o755);
  for (const name of commands) symlinkSync("busybox", join(root, "bin", name));
  const account = `${accountName}:x:${imageUserId}`;
  writeFileSync(
    join(root, "etc/passwd"),
    `root:x:0:0:root:/:/bin/sh\n${account}:${imageUserId}:${accountName}:/:/bin/sh\n`,
  );
  writeFileSync(join(root, "etc/group"), `root:x:0:\n${account}:\n`);
  chmodSync(join(root, "tmp"), 0o1777);
}

/** Archives a tree as it is, with its owners by number. */
export async function makeTar(root: string, archive: string): Promise<void> {
  const parameters = ["--numeric-owner", "-C", root, "-cf", archive, "."];
  const made = await runToEnd("tar", parameters, { timeoutMs: tarTimeoutMs });
  if (made.exit !== 0) throw new Error(`tar: ${made.stderr}`);
}
