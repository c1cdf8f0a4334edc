// What names storage takes, and what it makes of them.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../core/errors.ts";
import { type Bench, type Measures, no, yes } from "./outcome.ts";

/** The most that Linux takes. */
const NAME_BYTES_MAX = 255;

/** What users of Linux write into names, and what other systems have no place for. */
const oddNames = [
  ...["mail:2,S", "back\\slash", "star*", "question?", 'quote"', "less<more>", "pipe|"],
  ...["ends with a dot.", "ends with a space ", "aux", "new\nline", "ärger", "日本"],
];

/** The same letter as one character and as two. */
const COMPOSED = "caf\u00e9";
const DECOMPOSED = "cafe\u0301";

export const nameMeasures: Measures = {
  "case-sensitive"(bench) {
    const folder = folderOf(bench, "case");
    writeFileSync(join(folder, "Letter"), "");
    if (existsSync(join(folder, "letter"))) return no("no", "`A` and `a` are the same name");
    return yes();
  },

  "names-as-given"(bench) {
    const folder = folderOf(bench, "names");
    const names = oddNames.filter((name) => !(isRclone(bench) && name.includes("\n")));
    const refused = names.filter((name) => !isKept(folder, name));
    writeFileSync(join(folder, COMPOSED), "");
    const isNormalised = existsSync(join(folder, DECOMPOSED)) || !isListed(folder, COMPOSED);
    if (isNormalised) refused.push(`${COMPOSED} (its letters are recomposed)`);
    if (refused.length === 0) return yes();
    const shown = refused.map((name) => JSON.stringify(name)).join(", ");
    return no(`${refused.length} of ${names.length + 1} not`, `not kept as given: ${shown}`);
  },

  "long-names"(bench) {
    const folder = folderOf(bench, "long");
    let [fits, tooLong] = [0, NAME_BYTES_MAX + 1];
    for (let length = NAME_BYTES_MAX; tooLong - fits > 1; ) {
      if (isKept(folder, "n".repeat(length))) fits = length;
      else tooLong = length;
      length = Math.floor((fits + tooLong) / 2);
    }
    const outcome = fits >= NAME_BYTES_MAX ? yes : no;
    return { ...outcome(`${fits} bytes`), figure: fits };
  },
};

/** It sends a name with a line end as it is, lists it as another one, and cannot remove it then. */
function isRclone({ fileSystem }: Bench): boolean {
  return fileSystem === "fuse.rclone";
}

function folderOf(bench: Bench, name: string): string {
  const folder = bench.at(name);
  mkdirSync(folder);
  return folder;
}

/** Whether a file of this name can be made, and is listed under it. */
function isKept(folder: string, name: string): boolean {
  try {
    writeFileSync(join(folder, name), "");
  } catch (thrown) {
    if (errnoOf(thrown) === "ENOSPC") throw thrown;
    return false;
  }
  return isListed(folder, name);
}

function isListed(folder: string, name: string): boolean {
  return readdirSync(folder).includes(name);
}
