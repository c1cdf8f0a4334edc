// Publishing: a directory tree of a volume replaced in one step. What its helpers are asked, and
// what they answer (`Host.assist` in host.ts).
//
// Everything lies beside the tree that readers see, on the same file system, under hidden names:
// what is being unpacked (`.holdfast-publish-www-HEX`), what has been replaced
// (`.holdfast-previous-www-STAMP`). A stamp is milliseconds since the epoch, each larger than those
// before it. What a crash leaves under these names is put right by the next step on that path.
import { EngineError } from "./errors.ts";

/** What every hidden name of publishing begins with. */
export const PUBLISH_PREFIX = ".holdfast-";

/** Longest path within a volume, in bytes: hidden names are longer, and must be names still. */
export const PUBLISH_PATH_BYTES_MAX = 200;

/** How many trees may be kept for a roll-back. */
export const PUBLISH_KEEP_COUNT_MAX = 100;

/**
 * How the new tree takes its place. "exchange": with the old one, in one step. "create": nothing
 * was there. "link": a symbolic link is moved. "convert": a directory gives way to a symbolic link,
 * with a gap, once. "gap": two renames, with a gap each time.
 */
export type PublishMethod = "exchange" | "create" | "link" | "convert" | "gap";

/** A directory, so that another one at its place is noticed. Numbers of `stat`, in digits. */
export interface TreeIdentity {
  readonly device: string;
  readonly inode: string;
}

/** A path within a volume: `/a/www` is `{parent: "a", name: "www"}`. */
export interface PublishPlace {
  /** Relative, without empty, `.` or `..` segments; "": the volume itself. */
  readonly parent: string;
  readonly name: string;
}

/** How a tree is to be prepared and put in place. */
interface Staged {
  /** The hidden name beside the target, where the tree is unpacked. */
  readonly staging: string;
  readonly identity: TreeIdentity;
  readonly method: PublishMethod;
}

/** What `publish-step` is asked. Each is at a path, and first puts right what a crash has left. */
export type PublishStep = PublishPlace &
  (
    | { readonly do: "prepare"; readonly hex: string; readonly allowGap: boolean }
    | (Staged & { readonly do: "commit"; readonly hex: string; readonly nowMs: number })
    | {
        readonly do: "rollback";
        readonly hex: string;
        readonly nowMs: number;
        readonly allowGap: boolean;
      }
    /** Removes what is kept beyond the newest so many. */
    | { readonly do: "prune"; readonly keep: number }
    /** Removes what was being unpacked. */
    | { readonly do: "settle" }
  );

/** What `prepare` answers: the tree may be unpacked. */
export type PreparedPublish = Staged;

/** What `commit` and `rollback` answer. */
export interface CommittedPublish {
  readonly method: PublishMethod;
}

/** What `prune` answers. */
export interface PrunedTrees {
  readonly kept: number;
  readonly removed: number;
}

/** Who owns what is unpacked. "archive": as the archive says, set-id bits and attributes too. */
export type PublishOwner =
  | "archive"
  | { readonly userId: number; readonly groupId: number; readonly isTrusted: boolean };

/** What `publish-unpack` is asked; the archive follows. */
export interface UnpackTree {
  readonly parent: string;
  readonly staging: string;
  readonly identity: TreeIdentity;
  readonly owner: PublishOwner;
  readonly bytesMax: number;
  readonly entryCountMax: number;
}

/** What `publish-unpack` answers. */
export interface UnpackedTree {
  /** Hard links count as files. */
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly bytes: number;
  /** What the storage did not take: "owners", "modes", "times", "attributes". */
  readonly leftOut: readonly string[];
}

/**
 * `/www`, `www/` and `//a/./www` as a place. Throws `publish.path_invalid` for the volume itself,
 * for `..`, for hidden names of publishing's own, and for what is too long.
 */
export function parsePublishPath(text: string): PublishPlace {
  const segments = text.split("/").filter((each) => each !== "" && each !== ".");
  const name = segments.at(-1);
  if (name === undefined) {
    throw pathInvalid(
      text,
      "the volume itself cannot be exchanged: readers hold its root. Publish to a directory in it",
    );
  }
  if (segments.includes("..")) throw pathInvalid(text, "there is a `..` in it");
  if (text.includes("\0")) throw pathInvalid(text, "there is a NUL in it");
  if (segments.some((each) => each.startsWith(PUBLISH_PREFIX))) {
    throw pathInvalid(text, `names that begin with ${PUBLISH_PREFIX} are Holdfast's own`);
  }
  const path = segments.join("/");
  if (new TextEncoder().encode(path).length > PUBLISH_PATH_BYTES_MAX) {
    throw pathInvalid(text, `it is longer than ${PUBLISH_PATH_BYTES_MAX} bytes`);
  }
  return { parent: segments.slice(0, -1).join("/"), name };
}

/** The way back: `/a/www`. */
export function publishPathText({ parent, name }: PublishPlace): string {
  return parent === "" ? `/${name}` : `/${parent}/${name}`;
}

/** `publish.path_invalid`. */
export function pathInvalid(path: string, why: string): EngineError {
  const shown = path.slice(0, PUBLISH_PATH_BYTES_MAX);
  return new EngineError("publish.path_invalid", `the path ${JSON.stringify(shown)}: ${why}`, {
    details: { path: shown },
  });
}
