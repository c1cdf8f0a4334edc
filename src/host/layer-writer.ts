// Writes the entries of a layer below `/`, one after the other, without waiting.
import { closeSync, lstatSync, writeSync } from "node:fs";
import { EngineError, errnoOf, isErrno, storageError } from "../core/errors.ts";
import {
  attributesOf,
  showTarText,
  type TarEntry,
  type TarText,
  type TarTime,
  tarInvalid,
} from "../core/tar-header.ts";
import type { TarSink } from "../core/tar-reader.ts";
import { pathForNode, readLayerName, removeAll, removeContent, rootedPath } from "./layer-paths.ts";
import type { FileCalls } from "./libc-files.ts";

/** What layers have besides files: kept until the end, because each file in it changes its time. */
const DIRECTORY_NAME_BYTES_MAX = 64 * 1024 * 1024;

/** Of a directory that the layer has files in but does not name. */
const PARENT_MODE = 0o755;

/** More names than this are not told. */
const IGNORED_MAX = 16;

/** The layer asks for what cannot be: not a matter of our storage. */
const layerErrors: Readonly<Record<string, string>> = {
  EEXIST: "something else is there already",
  EINVAL: "the kernel does not take it",
  EISDIR: "a directory is there",
  ELOOP: "too many symbolic links lead to it",
  EMLINK: "too many hard links",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "what it refers to does not exist",
  ENOTDIR: "something in its path is no directory",
  EPERM: "the kernel does not allow it",
  EXDEV: "a hard link to another file system",
};

/** Removes what the layer hides of those before it. Sees nothing but whiteouts. */
export function hideLayersBefore(calls: FileCalls): TarSink {
  return {
    entry({ name }) {
      const read = readLayerName(name);
      if (read.kind !== "whiteout" && read.kind !== "opaque") return;
      explaining(name, () => {
        const path = rootedPath(read.path);
        if (read.kind === "whiteout") removeAll(calls, path);
        else if (isDirectory(path)) removeContent(calls, path);
      });
    },
    data() {},
    entryEnd() {},
  };
}

/** What is made of the entries of an archive that is no layer. */
export interface WriterRules {
  /** Where it is written, without `/` in front; undefined: nowhere. Throws for what must not be. */
  pathOf(entry: Pick<TarEntry, "name" | "type">): TarText | undefined;
  /** What it is described with. */
  described(entry: TarEntry): Pick<TarEntry, "userId" | "groupId" | "mode" | "records">;
  /** Hears what the storage did not take of it; missing: that is an error. */
  leftOut?(what: "owners" | "modes" | "times"): void;
}

/** As OCI's specification has it: whiteouts are none of the files. */
const layerRules: WriterRules = {
  pathOf({ name }) {
    const read = readLayerName(name);
    return read.kind === "entry" ? read.path : undefined;
  },
  described: (entry) => entry,
};

/** Writes everything but whiteouts. `finish` is to be called when there is no more. */
export class LayerWriter implements TarSink {
  readonly #calls: FileCalls;
  readonly #rules: WriterRules;
  /** By their paths: those that come twice count once. */
  readonly #directories = new Map<TarText, TarTime>();
  #directoryNameBytes = 0;
  readonly #ignored = new Set<string>();
  #file: { readonly entry: TarEntry; readonly descriptor: number } | undefined;

  constructor(calls: FileCalls, rules: WriterRules = layerRules) {
    this.#calls = calls;
    this.#rules = rules;
  }

  /** Names of entries whose attributes the file system or the kernel did not take; some of them. */
  get ignored(): readonly string[] {
    return [...this.#ignored];
  }

  entry(entry: TarEntry): void {
    const path = this.#rules.pathOf(entry);
    if (path !== undefined) explaining(entry.name, () => this.#begin(entry, path));
  }

  data(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    explaining(file.entry.name, () => {
      for (let at = 0; at < bytes.length; ) at += writeSync(file.descriptor, bytes, at);
    });
  }

  entryEnd(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    explaining(file.entry.name, () => {
      try {
        this.#describe(file.entry, file.descriptor);
      } finally {
        closeSync(file.descriptor);
      }
    });
  }

  finish(): void {
    for (const [path, time] of this.#directories) {
      explaining(path, () => {
        try {
          this.#take("times", () => {
            this.#calls.setTime(rootedPath(path), time.seconds, time.nanoseconds);
          });
        } catch (thrown) {
          // A later entry took its place, or that of one above it.
          if (!isErrno(thrown, "ENOENT") && !isErrno(thrown, "ENOTDIR")) throw thrown;
        }
      });
    }
  }

  #begin(entry: TarEntry, name: TarText): void {
    const path = rootedPath(name);
    if (entry.type === "directory") this.#makeDirectory(entry, name, path);
    else if (name === "") throw tarInvalid("only a directory can be the root", entry.name);
    else if (entry.type === "file") {
      const descriptor = this.#make(name, path, () => this.#calls.createFile(path));
      this.#file = { entry, descriptor };
    } else {
      this.#make(name, path, () => this.#makeOther(entry, path));
      // What a hard link leads to has been described already.
      if (entry.type !== "hardLink") this.#describe(entry, path);
    }
  }

  #makeOther({ type, name, linkName, major, minor }: TarEntry, path: Buffer): void {
    const linked = () => this.#rules.pathOf({ name: linkName, type: "file" });
    switch (type) {
      case "file":
      case "directory":
        throw new Error(`${type} is made elsewhere`);
      case "symlink":
        this.#calls.makeSymlink(Buffer.from(`${linkName}\0`, "latin1"), path);
        break;
      case "hardLink":
        this.#calls.makeHardLink(linkedPath(name, linkName, linked()), path);
        break;
      default:
        this.#calls.makeNode(path, { type, major, minor });
    }
  }

  #makeDirectory(entry: TarEntry, name: TarText, path: Buffer): void {
    if (name !== "") this.#make(name, path, () => this.#makeOrKeepDirectory(path));
    // What is described is a directory, whatever somebody may have put in its place by now.
    const directory = this.#calls.openDirectory(path);
    try {
      this.#describe(entry, directory);
    } finally {
      closeSync(directory);
    }
    if (!this.#directories.has(name)) this.#directoryNameBytes += name.length + 1;
    if (this.#directoryNameBytes > DIRECTORY_NAME_BYTES_MAX) {
      throw tarInvalid(
        `the names of directories are longer than ${DIRECTORY_NAME_BYTES_MAX} bytes`,
      );
    }
    this.#directories.set(name, entry.modified);
  }

  /** One from a layer before stays, with what is in it; a link to one does not count. */
  #makeOrKeepDirectory(path: Buffer): void {
    try {
      this.#calls.makeDirectory(path, 0o700);
    } catch (thrown) {
      if (!isErrno(thrown, "EEXIST") || !isDirectory(path)) throw thrown;
    }
  }

  /** Does what makes a file, with what is in its way removed, and directories above it made. */
  #make<T>(name: TarText, path: Buffer, make: () => T): T {
    try {
      return make();
    } catch (thrown) {
      if (isErrno(thrown, "EEXIST")) {
        removeAll(this.#calls, path);
        this.#directories.delete(name);
      } else if (isErrno(thrown, "ENOENT")) this.#makeParents(name);
      else throw thrown;
      return make();
    }
  }

  #makeParents(name: TarText): void {
    for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", slash + 1)) {
      try {
        this.#calls.makeDirectory(rootedPath(name.slice(0, slash)), PARENT_MODE);
      } catch (thrown) {
        if (!isErrno(thrown, "EEXIST")) throw thrown;
      }
    }
  }

  /** Owner first: a change of it takes setuid and capabilities away. */
  #describe(entry: TarEntry, place: Buffer | number): void {
    const { type, modified } = entry;
    const { mode, userId, groupId, records } = this.#rules.described(entry);
    this.#take("owners", () => {
      if (type === "symlink" && typeof place !== "number") {
        this.#calls.ownLink(place, userId, groupId);
      } else this.#calls.own(place, userId, groupId);
    });
    if (type !== "symlink") this.#take("modes", () => this.#calls.changeMode(place, mode));
    if (records.length > 0) this.#setAttributes({ ...entry, records }, place);
    if (type === "directory") return;
    this.#take("times", () => {
      this.#calls.setTime(place, modified.seconds, modified.nanoseconds);
    });
  }

  #take(what: "owners" | "modes" | "times", work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const isRefused = ["EPERM", "ENOTSUP", "ENOSYS"].some((code) => isErrno(thrown, code));
      if (!isRefused || this.#rules.leftOut === undefined) throw thrown;
      this.#rules.leftOut(what);
    }
  }

  #setAttributes(entry: TarEntry, place: Buffer | number): void {
    for (const { key, value } of attributesOf(entry)) {
      try {
        this.#calls.setAttribute(place, Buffer.from(`${key}\0`, "latin1"), value);
      } catch (thrown) {
        // As Docker: not every file system has them, and some are only for the kernel.
        if (!isErrno(thrown, "ENOTSUP") && !isErrno(thrown, "EPERM")) throw thrown;
        if (this.#ignored.size < IGNORED_MAX) this.#ignored.add(showTarText(entry.name));
      }
    }
  }
}

/** What a hard link in the layer leads to, below `/` as the entries. */
function linkedPath(name: TarText, linkName: TarText, path: TarText | undefined): Buffer {
  if (path !== undefined && path !== "") return rootedPath(path);
  throw tarInvalid(`a hard link to ${showTarText(linkName)}`, name);
}

function isDirectory(path: Buffer): boolean {
  return lstatSync(pathForNode(path), { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Makes failed system calls failures of the layer, or of our storage, with the entry's name. */
function explaining(name: TarText, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof EngineError) throw thrown;
    const code = errnoOf(thrown);
    const words = layerErrors[code];
    if (words !== undefined) throw tarInvalid(`${words} (${code}${callOf(thrown)})`, name);
    throw storageError(thrown, `unpacking ${showTarText(name)}`);
  }
}

function callOf(thrown: unknown): string {
  return thrown instanceof Error && "syscall" in thrown ? `: ${String(thrown.syscall)}` : "";
}
