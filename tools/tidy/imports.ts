// Finds what a source file imports, and which other files it names in its strings.
import { dirname, join, normalize } from "node:path";
import type { SourceFile } from "../source-files.ts";
import { lineAt, splitCode } from "./code-text.ts";

export interface Import {
  /** A path from the repository's root for a relative import, else the specifier as written. */
  readonly target: string;
  readonly isRelative: boolean;
  /** Erased before the program runs. */
  readonly isTypeOnly: boolean;
  readonly line: number;
}

/** `import … from "x"`, `export … from "x"`; the specifier is blank in this view. */
const withClause = /\b(?:import|export)\b([\w\s{},*$]*?)\bfrom\s*["'] *["']/g;

/** `import "x"` and `import("x")`, in types as well. */
const bareImport = /\bimport\s*\(?\s*["'] *["']/g;

export function importsOf({ path, text }: SourceFile): readonly Import[] {
  const { code, bare } = splitCode(text);
  return [...bare.matchAll(withClause), ...bare.matchAll(bareImport)].map((match) => {
    const statement = code.slice(match.index, match.index + match[0].length);
    const specifier = /["']([^"']*)["']$/.exec(statement)?.[1] ?? "";
    const isRelative = specifier.startsWith(".");
    return {
      target: isRelative ? join(dirname(path), specifier) : specifier,
      isRelative,
      isTypeOnly: isTypeClause(match[1] ?? ""),
      line: lineAt(text, match.index),
    };
  });
}

/** Paths below the repository that strings of the file may mean: programs and workers it starts. */
export function pathsNamed({ path, text }: SourceFile): readonly string[] {
  return [...splitCode(text).code.matchAll(/["'`]([\w./-]+\.(?:ts|tsx|mjs))["'`]/g)].flatMap(
    ([, name = ""]) => [normalize(name), join(dirname(path), name)],
  );
}

function isTypeClause(clause: string): boolean {
  if (/^\s*type\s/.test(clause)) return true;
  const names = /^\s*\{([^}]*)\}\s*$/.exec(clause)?.[1]?.split(",") ?? [];
  const given = names.map((name) => name.trim()).filter((name) => name !== "");
  return given.length > 0 && given.every((name) => name.startsWith("type "));
}
