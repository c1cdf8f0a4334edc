// What kinds of files storage has, and what it keeps of them.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { errnoOf } from "../../core/errors.ts";
import { type Bench, type Measures, no, type Outcome, pathBytes, unknown, yes } from "./outcome.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** More than 32 bits, and more than FAT has. */
const LARGE_BYTES = 5 * GIB;
const SPARSE_BYTES = 64 * MIB;
/** A file's blocks as stat(2) counts them. */
const BLOCK_BYTES = 512;

/** Below this little is left for anybody. */
const FREE_BYTES_MIN = 1 * GIB;
const FREE_FILES_MIN = 10_000;
/** No file system has so many: rclone says a thousand million. */
const FILES_MADE_UP = 1_000_000_000;

/** Nobody's, on any machine that we know. */
const STRANGER = { userId: 54_321, groupId: 54_322 };

export const fileMeasures: Measures = {
  "free-space": ({ directory }) => {
    const { bavail, blocks, bsize } = statfsSync(directory, { bigint: true });
    const [free, all] = [Number(bavail * bsize), Number(blocks * bsize)];
    if (all === 0) return unknown("the storage does not say how large it is");
    const value = `${inGib(free)} of ${inGib(all)} GiB`;
    return { ...(free >= FREE_BYTES_MIN ? yes(value) : no(value)), figure: free };
  },

  "free-files": ({ directory }) => {
    const { ffree, files } = statfsSync(directory);
    // Some count none as free and take more: that one was just made is told by "writable".
    const hasLimit = files > 0 && (ffree > 0 || files < FILES_MADE_UP);
    if (!hasLimit) return yes("as many as fit", "the storage tells no limit of its own");
    const value = `${ffree} of ${files}`;
    return { ...(ffree >= FREE_FILES_MIN ? yes(value) : no(value)), figure: ffree };
  },

  "hard-links"({ at, files }) {
    writeFileSync(at("link-a"), "before");
    files.makeHardLink(pathBytes(at("link-a")), pathBytes(at("link-b")));
    writeFileSync(at("link-b"), "afterwards");
    const isOne = readFileSync(at("link-a"), "latin1") === "afterwards";
    if (!isOne) return no("no", "a link is a copy: what is written to one is not in the other");
    const [one, other] = [statSync(at("link-a")), statSync(at("link-b"))];
    if (one.ino === other.ino && other.nlink === 2) return yes();
    return yes("yes, not told", "the inode numbers or link counts of the two names do not show it");
  },

  symlinks({ at, files }) {
    const keeps = (name: string, target: string): boolean => {
      files.makeSymlink(pathBytes(target), pathBytes(at(name)));
      return readlinkSync(at(name)) === target;
    };
    if (!keeps("symlink", "at nothing")) return no("changed", "links lead to other places");
    try {
      if (keeps("symlink-up", "../nothing")) return yes();
      return yes("not upwards", "a link that begins with `..` leads to another place");
    } catch (thrown) {
      // sshfs has none that might lead out of what it shows.
      return yes("not upwards", `a link that begins with \`..\` is refused: ${errnoOf(thrown)}`);
    }
  },

  "special-files"({ at, files, isRoot }) {
    files.makeNode(pathBytes(at("fifo")), { type: "fifo", major: 0, minor: 0 });
    if (!lstatSync(at("fifo")).isFIFO()) return no("no", "a fifo is not one afterwards");
    if (!isRoot) return yes("fifos", "devices were not tried: only root may make them");
    try {
      // What overlayfs marks a removed file with.
      const node = { type: "characterDevice", major: 0, minor: 0 } as const;
      files.makeNode(pathBytes(at("device")), node);
    } catch (thrown) {
      return no("fifos only", `a device is refused with ${errnoOf(thrown)}`);
    }
    return yes("fifos and devices");
  },

  "unlink-open"({ at, directory }) {
    const before = readdirSync(directory).length;
    const descriptor = openSync(at("unlinked"), "wx+");
    try {
      unlinkSync(at("unlinked"));
      writeSync(descriptor, "still here", 0);
      const back = Buffer.alloc(10);
      readSync(descriptor, back, 0, back.length, 0);
      if (back.toString() !== "still here") return no("no", "what is written then is lost");
      const left = readdirSync(directory).length - before;
      if (left === 0) return yes();
      return yes("yes, hidden", "it stays under a hidden name until it is closed");
    } finally {
      closeSync(descriptor);
    }
  },

  "user-attributes": (bench) => attribute(bench, "user.holdfast-doctor"),
  "security-attributes": (bench) => rootAttribute(bench, "security.holdfast-doctor"),
  "trusted-attributes": (bench) => rootAttribute(bench, "trusted.holdfast-doctor"),

  acls({ at, calls }) {
    writeFileSync(at("acl"), "", { mode: 0o640 });
    const wanted = aclBytes();
    calls.setAttribute(at("acl"), "system.posix_acl_access", wanted);
    const kept = calls.getAttribute(at("acl"), "system.posix_acl_access");
    return Buffer.compare(kept, wanted) === 0 ? yes() : no("changed", "another list is kept");
  },

  owners({ at, files, isRoot }) {
    if (!isRoot) return unknown("only root may give files away");
    const { userId, groupId } = STRANGER;
    writeFileSync(at("owned"), "");
    files.own(pathBytes(at("owned")), userId, groupId);
    const { uid, gid } = statSync(at("owned"));
    if (uid === userId && gid === groupId) return yes();
    return no("no", `chown succeeds, and all files belong to ${uid}:${gid}`);
  },

  modes({ at, files }) {
    writeFileSync(at("mode"), "");
    const wrong = [0o600, 0o751, 0o444].filter((mode) => {
      files.changeMode(pathBytes(at("mode")), mode);
      return (statSync(at("mode")).mode & 0o777) !== mode;
    });
    if (wrong.length === 0) return yes();
    const kept = (statSync(at("mode")).mode & 0o777).toString(8);
    return no("no", `chmod succeeds, and the permission bits are ${kept}`);
  },

  times: ({ at, files }) => {
    writeFileSync(at("time"), "");
    const wanted = 1_500_000_001n * 1_000_000_000n + 123_456_789n;
    files.setTime(pathBytes(at("time")), 1_500_000_001, 123_456_789);
    const kept = statSync(at("time"), { bigint: true }).mtimeNs;
    const lost = wanted - kept;
    if (lost < 0n || lost > 2_000_000_000n) return no("no", "a file's time cannot be set");
    const grain = [1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000].find(
      (each) => kept === wanted - (wanted % BigInt(each)),
    );
    const figure = grain ?? 2_000_000_000;
    const value = `to ${nanosecondsText(figure)}`;
    return { ...(figure <= 1_000_000 ? yes(value) : no(value)), figure };
  },

  "sparse-files"(bench) {
    const { taken, isSaid } = holeTakes(bench);
    if (taken) return no("no", "a file takes all the space that it spans");
    if (!isSaid) return yes();
    return unknown(
      "files say that they take all the space that they span, and do not take it here",
    );
  },

  "large-files": (bench) => {
    if (bench.fileSystem === "fuse.rclone") return unknown("not tried: 5 GiB might be sent");
    // What is not stored there as holes would be written out in full.
    if (holeTakes(bench).taken) {
      return unknown("not tried: holes take space here, and 5 GiB would be written");
    }
    writeAtEnd(bench.at("large"), LARGE_BYTES);
    return yes("beyond 5 GiB");
  },

  "direct-io"({ at }) {
    writeFileSync(at("direct"), Buffer.alloc(4096));
    closeSync(openSync(at("direct"), constants.O_RDWR | constants.O_DIRECT));
    return yes();
  },
};

function inGib(bytes: number): string {
  return (bytes / GIB).toFixed(1);
}

function nanosecondsText(nanoseconds: number): string {
  if (nanoseconds >= 1_000_000_000) return `${nanoseconds / 1_000_000_000} s`;
  if (nanoseconds >= 1_000_000) return `${nanoseconds / 1_000_000} ms`;
  return nanoseconds >= 1_000 ? `${nanoseconds / 1_000} µs` : `${nanoseconds} ns`;
}

/** Whether a hole takes space, and whether its file says so: FUSE programs mostly make that up. */
function holeTakes({ at, directory }: Bench): {
  readonly taken: boolean;
  readonly isSaid: boolean;
} {
  const free = (): number => {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  };
  const before = free();
  let after = before;
  const stored = writeAtEnd(at("sparse"), SPARSE_BYTES, () => {
    after = free();
  });
  const isSaid = stored >= SPARSE_BYTES / 2;
  return { taken: isSaid && before - after >= SPARSE_BYTES / 2, isSaid };
}

/** One byte behind a hole. Returns how many bytes its file says to take, and removes it. */
function writeAtEnd(path: string, position: number, written?: () => void): number {
  const descriptor = openSync(path, "wx");
  try {
    writeSync(descriptor, Buffer.from("x"), 0, 1, position);
    const { size, blocks } = fstatSync(descriptor);
    if (size !== position + 1) throw new Error(`it has ${size} bytes afterwards`);
    written?.();
    return blocks * BLOCK_BYTES;
  } finally {
    unlinkSync(path);
    closeSync(descriptor);
  }
}

function attribute({ at, calls }: Bench, name: string): Outcome {
  const path = at(name);
  writeFileSync(path, "");
  calls.setAttribute(path, name, Buffer.from("a value"));
  const kept = Buffer.from(calls.getAttribute(path, name)).toString();
  return kept === "a value" ? yes() : no("changed", "another value is kept");
}

function rootAttribute(bench: Bench, name: string): Outcome {
  return bench.isRoot ? attribute(bench, name) : unknown("only root may set it");
}

/** An access list (acl(5)) with one user more than the mode has, as the kernel takes it. */
function aclBytes(): Uint8Array {
  const none = 0xffff_ffff;
  const entries = [
    [0x01, 6, none],
    [0x02, 4, STRANGER.userId],
    [0x04, 4, none],
    [0x10, 4, none],
    [0x20, 0, none],
  ] as const;
  const bytes = new DataView(new ArrayBuffer(4 + entries.length * 8));
  bytes.setUint32(0, 2, true);
  for (const [index, [tag, rights, id]] of entries.entries()) {
    bytes.setUint16(4 + index * 8, tag, true);
    bytes.setUint16(6 + index * 8, rights, true);
    bytes.setUint32(8 + index * 8, id, true);
  }
  return new Uint8Array(bytes.buffer);
}

/** Whether anything can be written at all: a bench is there, so a directory could be made. */
export function writableOf({ at }: Bench): Outcome {
  mkdirSync(at("written"));
  writeFileSync(at("written/file"), "content");
  const kept = readFileSync(at("written/file"), "latin1");
  return kept === "content" ? yes() : no("no", "what was written is not what is read");
}
