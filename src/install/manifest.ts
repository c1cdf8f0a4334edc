// The list of what an installation wrote, in a file of its own.
import { readFileSync } from "node:fs";
import path from "node:path";
import { EngineError, isErrno } from "../core/errors.ts";
import { manifestPath } from "./layout.ts";
import { putFile } from "./put-file.ts";

export interface InstalledFile {
  /** As the installed machine sees it. */
  readonly path: string;
  readonly sha256: string;
}

export interface Manifest {
  /** Of this format. */
  readonly version: 1;
  readonly holdfast: string;
  readonly files: readonly InstalledFile[];
  /** Directories that were made for them, as the installed machine sees them, outermost first. */
  readonly directories: readonly string[];
  /** The group that was made; null: there was one. */
  readonly madeGroup: string | null;
}

/** undefined: nothing was installed. Throws `install.failed` for what cannot be read. */
export function readManifest(base: string): Manifest | undefined {
  const file = path.join(base, manifestPath);
  try {
    // Written by `writeManifest` only; a foreign version is refused below.
    const manifest = JSON.parse(readFileSync(file, "utf8")) as Manifest;
    if (manifest.version === 1) return withPlainPaths(manifest);
    throw new TypeError(`its version is ${JSON.stringify(manifest.version)}, this one knows 1`);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    const text = error instanceof Error ? error.message : String(error);
    throw new EngineError("install.failed", `the manifest ${file} cannot be read: ${text}`, {
      cause: error,
    });
  }
}

/** What it names is removed: a `..` in it would lead out of a staging directory. */
function withPlainPaths(manifest: Manifest): Manifest {
  for (const name of [...manifest.files.map((file) => file.path), ...manifest.directories]) {
    if (path.isAbsolute(name) && path.normalize(name) === name) continue;
    throw new TypeError(`${JSON.stringify(name)} is no plain absolute path`);
  }
  return manifest;
}

/** Returns the directories that were made for it; it lists them too. Throws `install.failed`. */
export function writeManifest(base: string, manifest: Manifest): readonly string[] {
  const file = path.join(base, manifestPath);
  const write = (it: Manifest) =>
    putFile(file, { text: `${JSON.stringify(it, undefined, 2)}\n` }, 0o644);
  const made = write(manifest).map((folder) => withoutBase(base, folder));
  if (made.length > 0) write({ ...manifest, directories: [...manifest.directories, ...made] });
  return made;
}

/** `/tmp/d/usr/bin` below `/tmp/d` is `/usr/bin`. */
export function withoutBase(base: string, file: string): string {
  return file.slice(base.length);
}
