// Images of real programs for containers of the tests, made from what this machine has installed.
//
// A program comes with the libraries that `ldd` names, beside busybox and two accounts: root and
// number 999. Nothing is downloaded.
import {
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { type Ended, runToEnd } from "./child.ts";
import { imageUserId, makeBasicTree, makeTar } from "./test-image.ts";

const lddTimeoutMs = 30_000;

/** Debian's merged /usr: what is a link here is one in the image. */
const mergedFolders = ["bin", "sbin", "lib", "lib64"];

export interface ProgramImage {
  /** `name:tag`. */
  readonly name: string;
  /** Absolute paths; they have the same ones in the image. */
  readonly programs: readonly string[];
  /** Further files and whole directories, at the same paths. Libraries among them bring theirs. */
  readonly paths?: readonly string[];
  /** Absolute path in the image, and text. */
  readonly files?: Readonly<Record<string, string>>;
  /** Empty directories: of root, and of account 999. */
  readonly rootFolders?: readonly string[];
  readonly ownFolders?: readonly string[];
  /** The name of account 999. */
  readonly accountName: string;
}

/** Makes it and loads it by `run`, which drives `docker` or `podman`. Needs root, for owners. */
export async function loadProgramImage(
  run: (...parameters: readonly string[]) => Promise<Ended>,
  image: ProgramImage,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-image-"));
  try {
    const root = join(folder, "root");
    await makeProgramTree(root, image);
    const archive = join(folder, "image.tar");
    await makeTar(root, archive);
    const loaded = await run("import", archive, image.name);
    if (loaded.exit !== 0) throw new Error(`importing ${image.name}: ${loaded.stderr}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The root file system alone, in a directory that need not be there. Needs root, for owners. */
export async function makeProgramTree(
  root: string,
  image: Omit<ProgramImage, "name">,
): Promise<void> {
  for (const name of mergedFolders) mergeAsHere(root, name);
  makeBasicTree(root, image.accountName);
  for (const path of [...image.programs, ...(image.paths ?? [])]) copyIn(root, path);
  const linked = [...image.programs, ...(image.paths ?? []).filter((path) => path.endsWith(".so"))];
  const libraries = (await Promise.all(linked.map(librariesOf))).flat();
  for (const path of new Set(libraries)) copyIn(root, path);
  for (const [path, text] of Object.entries(image.files ?? {})) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const path of image.rootFolders ?? []) mkdirSync(join(root, path), { recursive: true });
  for (const path of image.ownFolders ?? []) {
    mkdirSync(join(root, path), { recursive: true });
    chownSync(join(root, path), imageUserId, imageUserId);
  }
}

function mergeAsHere(root: string, name: string): void {
  const here = join("/", name);
  if (!existsSync(here) || !lstatSync(here).isSymbolicLink()) {
    mkdirSync(join(root, name), { recursive: true });
    return;
  }
  const target = readlinkSync(here);
  mkdirSync(join(root, target), { recursive: true });
  symlinkSync(target, join(root, name));
}

/** Under the path that it is asked for by, links in its folders resolved: as the loader does. */
function copyIn(root: string, path: string): void {
  const target = join(root, realpathSync(dirname(path)), basename(path));
  mkdirSync(dirname(target), { recursive: true });
  if (lstatSync(realpathSync(path)).isDirectory()) cpSync(path, target, { recursive: true });
  else copyFileSync(path, target);
}

/** The loader included. Lines are `NAME => /PATH (ADDRESS)` or `/PATH (ADDRESS)`. */
async function librariesOf(path: string): Promise<readonly string[]> {
  const { exit, stdout, stderr } = await runToEnd("ldd", [path], { timeoutMs: lddTimeoutMs });
  if (exit !== 0 && !`${stdout}${stderr}`.includes("not a dynamic executable")) {
    throw new Error(`ldd ${path}: ${stderr}`);
  }
  const missing = /^\s*(\S+) => not found/m.exec(stdout)?.[1];
  if (missing !== undefined) throw new Error(`${path} needs ${missing}, which is not here`);
  return [...stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(/gm)].map(([, library = ""]) => library);
}
