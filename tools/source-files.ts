// Lists the files of the repository that its rules are about.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "./source-root.ts";

export interface SourceFile {
  /** Relative to the repository, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Folders that hold code of ours. */
export const codeFolders = ["src", "test", "bench", "tools", "web"] as const;

/** Paths below the folder, sorted, without what git ignores and without recorded fixtures. */
export function listFiles(folder: string): readonly string[] {
  if (!isFolder(join(sourceRoot, folder))) return [];
  return readdirSync(join(sourceRoot, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(sourceRoot.length + 1))
    .filter((path) => !/(^|\/)(node_modules|dist|fixtures)\//.test(path))
    .sort();
}

/** Every file of code with its text. */
export function readCode(): readonly SourceFile[] {
  return codeFolders
    .flatMap(listFiles)
    .filter((path) => /\.(ts|tsx|mjs|js|cjs)$/.test(path))
    .map((path) => ({ path, text: readFileSync(join(sourceRoot, path), "utf8") }));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
