// The shape of files: their names, first lines, sizes, and that somebody uses them.
import { basename } from "node:path";
import type { SourceFile } from "../source-files.ts";
import { splitCode } from "./code-text.ts";
import type { Finding } from "./finding.ts";
import { importsOf, pathsNamed } from "./imports.ts";

const lineCountMax = 400;
const columnCountMax = 100;

/** A sentence, or the first line of one. */
const purpose = /^\/\/ \S+(?: \S+){2,}/;

/** Names that say nothing; what they would hold belongs where it is used. */
const hollowNames = /^(?:utils?|helpers?|misc|common|shared|base|types|constants)\.\w+$/;

/** What is started and not imported. `tools/run.mjs` starts the commands of package.json. */
const entryPoints: readonly RegExp[] = [
  /^src\/main\.ts$/,
  /^bench\/run\.ts$/,
  /^tools\/(?:run\.mjs|(?:bench|build|check|generate|test)\.ts)$/,
  /\.test\.tsx?$/,
  /\.d\.ts$/,
];

export function misshapen(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap((file) => [
    ...nameFindings(file),
    ...purposeFindings(file),
    ...sizeFindings(file),
  ]);
}

/** Files that nobody imports or starts: dead code, or a part that was never connected. */
export function orphans(files: readonly SourceFile[]): readonly Finding[] {
  const used = new Set(
    files.flatMap((file) => [
      ...importsOf(file).map(({ target }) => target),
      ...pathsNamed(file).filter((path) => path !== file.path),
    ]),
  );
  return files
    .filter(({ path }) => !used.has(path) && !entryPoints.some((entry) => entry.test(path)))
    .map(({ path }) => ({ path, message: "nobody imports this file: connect it or remove it" }));
}

function nameFindings({ path, text }: SourceFile): readonly Finding[] {
  const name = basename(path);
  if (/^index\.\w+$/.test(name) || isBarrel(text)) {
    return [{ path, message: "no barrels: an import shows where a thing lives" }];
  }
  if (hollowNames.test(name)) {
    return [{ path, message: "the name says nothing: put its parts where they are used" }];
  }
  return [];
}

/** Nothing but exports of what other files have. */
function isBarrel(text: string): boolean {
  const statements = splitCode(text)
    .bare.split(";")
    .map((one) => one.trim());
  const given = statements.filter((statement) => statement !== "");
  return given.length > 0 && given.every((one) => /^export\b[\w\s{},*$]*\bfrom\b/.test(one));
}

function purposeFindings({ path, text }: SourceFile): readonly Finding[] {
  const [first = ""] = text.split("\n", 1);
  if (purpose.test(first)) return [];
  return [{ path, line: 1, message: "line one must be a comment that says what the file is for" }];
}

function sizeFindings({ path, text }: SourceFile): readonly Finding[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const wide = lines.flatMap((content, index) =>
    content.length <= columnCountMax
      ? []
      : [
          {
            path,
            line: index + 1,
            message: `${content.length} columns, at most ${columnCountMax}`,
          },
        ],
  );
  if (lines.length <= lineCountMax) return wide;
  return [...wide, { path, message: `${lines.length} lines, at most ${lineCountMax}: split it` }];
}
