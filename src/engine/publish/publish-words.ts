// What readers may rely on while a tree is replaced, in words for people.
import type { PublishMethod } from "../../core/publishing.ts";

export interface PublishedHow {
  readonly method: PublishMethod;
  /** As the mount table names it; "": not known. */
  readonly fileSystem: string;
  /** Other machines may have it mounted, with caches of their own. */
  readonly isRemote: boolean;
}

const guarantees: Readonly<Record<PublishMethod, string>> = {
  exchange: "readers see the old tree or the new one: exchanged in one step",
  create: "readers see nothing or the whole new tree: put in place in one step",
  link: "readers see the old tree or the new one: a symbolic link was moved in one step",
  convert:
    "readers found nothing for a moment: the directory gave way to a symbolic link, which the " +
    "next publish moves in one step",
  gap:
    "readers found nothing for a moment: this storage can neither exchange directories nor move " +
    "symbolic links",
};

/** One sentence, without its full stop. */
export function guaranteeWords({ method, fileSystem, isRemote }: PublishedHow): string {
  const where = fileSystem === "" ? "" : ` (${fileSystem})`;
  const later = isRemote ? "; other machines see it when their caches have run out" : "";
  return `${guarantees[method]}${where}${later}`;
}
