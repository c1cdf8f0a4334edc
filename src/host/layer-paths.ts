// The names in a layer as paths below `/`, which is the layer's own in the process that unpacks it.
import { readdirSync } from "node:fs";
import { isErrno } from "../core/errors.ts";
import { type TarText, tarInvalid } from "../core/tar-header.ts";
import type { FileCalls } from "./libc-files.ts";

/** In front of a name that is to be missing, in the image specification of OCI. */
const WHITEOUT = ".wh.";

/** What a directory has from layers before is to be missing. */
const OPAQUE_WHITEOUT = ".wh..wh..opq";

/** Notes of a file system that Docker had once; nothing for us. */
const WHITEOUT_META = ".wh..wh.";

/** What a name in a layer stands for. Paths have no `/` in front; that of the root is "". */
export type LayerName =
  | { readonly kind: "entry"; readonly path: TarText }
  /** What layers before have there is to be missing; of an opaque one what is in it. */
  | { readonly kind: "whiteout" | "opaque"; readonly path: TarText }
  | { readonly kind: "nothing" };

/** Throws `plugin.image_invalid` for names that lead upwards: nobody makes them in good faith. */
export function readLayerName(name: TarText): LayerName {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw tarInvalid("there is a `..` in the name", name);
  const last = parts.at(-1) ?? "";
  if (!last.startsWith(WHITEOUT)) return { kind: "entry", path: parts.join("/") };
  const parents = parts.slice(0, -1);
  if (last === OPAQUE_WHITEOUT) return { kind: "opaque", path: parents.join("/") };
  if (last.startsWith(WHITEOUT_META)) return { kind: "nothing" };
  const hidden = last.slice(WHITEOUT.length);
  if (["", ".", ".."].includes(hidden)) throw tarInvalid("a whiteout of nothing", name);
  return { kind: "whiteout", path: [...parents, hidden].join("/") };
}

/** As the C library takes it: bytes, with a NUL at the end. */
export function rootedPath(path: TarText): Buffer {
  return Buffer.from(`/${path}\0`, "latin1");
}

/** As node:fs takes it, for those of its functions that take bytes. */
export function pathForNode(path: Buffer): Buffer {
  return path.subarray(0, -1);
}

/**
 * Removes whatever is at a path of `rootedPath`, following no link at its end. Succeeds when
 * nothing is there, or nothing can be. Its depth is bounded by the longest path that the kernel
 * takes.
 */
export function removeAll(calls: FileCalls, path: Buffer): void {
  try {
    calls.removeFile(path);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT") || isErrno(thrown, "ENOTDIR")) return;
    if (!isErrno(thrown, "EISDIR")) throw thrown;
    removeContent(calls, path);
    calls.removeDirectory(path);
  }
}

/** The same for all that is in a directory. */
export function removeContent(calls: FileCalls, directory: Buffer): void {
  const parent = pathForNode(directory);
  const slash = Buffer.from("/");
  const end = Buffer.from("\0");
  for (const name of readdirSync(parent, { encoding: "buffer" })) {
    removeAll(calls, Buffer.concat([parent, slash, name, end]));
  }
}
