// What must not be written at all, in whichever file: each with the place where it is allowed.
import type { SourceFile } from "../source-files.ts";
import { type CodeText, lineAt, splitCode } from "./code-text.ts";
import type { Finding } from "./finding.ts";

interface Ban {
  readonly pattern: RegExp;
  /** Code without strings, code with strings, or comments. */
  readonly view: keyof CodeText;
  readonly appliesTo: (path: string) => boolean;
  readonly message: string;
}

const isSource = (path: string) => path.startsWith("src/") && !path.endsWith(".test.ts");
const isHost = (path: string) => path.startsWith("src/host/");
const isCli = (path: string) => path.startsWith("src/cli/") || path === "src/main.ts";
const isTest = (path: string) => path.startsWith("test/") || path.endsWith(".test.ts");
const everywhere = () => true;

/** Folders whose tests own the clock. */
const timeless = /^src\/(core|engine|drivers|layers|state|plugins|backup|cluster)\//;

const onlyHostStarts = "only src/host/ starts processes: ask the Host of core/host.ts";
const onlyBunHas =
  "what only Bun has stays in src/host/ and src/cli/: use a node: module, or the Host";
const noShell = "no shell, ever: a program and an array of arguments";

export const bans: readonly Ban[] = [
  {
    pattern: /["'](?:node:)?child_process["']/g,
    view: "code",
    appliesTo: (path) => isSource(path) && !isHost(path),
    message: onlyHostStarts,
  },
  {
    pattern: /\bBun\s*\.\s*(?:spawn|spawnSync)\b/g,
    view: "bare",
    appliesTo: (path) => isSource(path) && !isHost(path),
    message: onlyHostStarts,
  },
  {
    pattern: /\bBun\s*\.\s*serve\b/g,
    view: "bare",
    appliesTo: isSource,
    message: "Bun.serve does not tell who calls, and ignores the socket that systemd hands over",
  },
  {
    pattern: /["']bun:\w+["']|\bfrom\s*["']bun["']/g,
    view: "code",
    appliesTo: (path) => isSource(path) && !isHost(path) && !isCli(path),
    message: onlyBunHas,
  },
  {
    pattern: /\bBun\s*[.[]/g,
    view: "bare",
    appliesTo: (path) => isSource(path) && !isHost(path) && !isCli(path),
    message: onlyBunHas,
  },
  {
    pattern: /["'`](?:\/(?:usr\/)?bin\/)?(?:ba|da|z|k)?sh["'`]\s*,\s*\[\s*["'`]-\w*c\b/g,
    view: "code",
    appliesTo: everywhere,
    message: noShell,
  },
  {
    pattern: /\bshell\s*:(?!\s*false\b)|\bBun\s*\.\s*\$/g,
    view: "bare",
    appliesTo: everywhere,
    message: noShell,
  },
  {
    pattern: /\bimport\b[^;]*\bexec(?:Sync)?\b[^;]*["'](?:node:)?child_process["']/g,
    view: "code",
    appliesTo: everywhere,
    message: "exec starts a shell: use spawn or execFile with an array of arguments",
  },
  {
    pattern: /\bexport\s+default\b|\bas\s+default\b/g,
    view: "bare",
    appliesTo: everywhere,
    message: "no default exports: an import shows the name of what it means",
  },
  {
    pattern: /\bexport\s*\*/g,
    view: "bare",
    appliesTo: everywhere,
    message: "no barrels: an import shows where a thing lives",
  },
  {
    pattern: /\b(?:test|it|describe)\s*\.\s*(?:skip|skipIf|todo|todoIf|only|if)\b/g,
    view: "bare",
    appliesTo: (path) => isTest(path) && path !== "test/support/needs.ts",
    message: "a skip needs a reason that is printed: whenPossible of test/support/needs.ts",
  },
  {
    pattern: /\bDate\s*\.\s*now\b|\bnew\s+Date\s*\(\s*\)|\bMath\s*\.\s*random\b|\brandomUUID\b/g,
    view: "bare",
    appliesTo: (path) => isSource(path) && timeless.test(path),
    message: "time and randomness come in through the Host, so that tests own them",
  },
  {
    pattern: /\b(?:TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/g,
    view: "comments",
    appliesTo: everywhere,
    message: "a TODO names its issue, as in TODO(#12)",
  },
];

export function banned(files: readonly SourceFile[]): readonly Finding[] {
  return files.flatMap(({ path, text }) => {
    const views = splitCode(text);
    return bans
      .filter(({ appliesTo }) => appliesTo(path))
      .flatMap(({ pattern, view, message }) =>
        [...views[view].matchAll(pattern)].map(({ index }) => ({
          path,
          line: lineAt(text, index),
          message,
        })),
      );
  });
}
