// What documents point at is there: paths of this repository, links, headings.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, normalize } from "node:path";
import { readConfig } from "../../src/daemon/config.ts";
import { listFiles } from "../../tools/source-files.ts";
import { sourceRoot } from "../../tools/source-root.ts";
import { readFences, readFiles } from "./tour.ts";

/** What the build makes: a fresh clone does not have it yet. */
const built = new Set(["dist/holdfast"]);

const rootDocuments = ["README", "ARCHITECTURE", "SCOPE", "CONTRIBUTING", "SECURITY"];
const documents = [
  ...rootDocuments.map((name) => `${name}.md`),
  ...["docs", "changelog", "test", "bench"]
    .flatMap(listFiles)
    .filter((path) => path.endsWith(".md")),
];

const folders = ["src", "test", "tools", "bench", "docs"];
const fileNames = new Set(folders.flatMap(listFiles).map((path) => basename(path)));

/** Folders that a path of this repository begins with; ARCHITECTURE.md leaves `src/` out. */
const firstFolders = [...folders, "changelog", "dist"];
const sourceFolders = new Set(
  listFiles("src").flatMap((path) => path.split("/").slice(1, -1).slice(0, 1)),
);

/** Stand for any of their kind: nobody has them. */
const examples = new Set(["x.test.ts", "src/drivers/x"]);

/** Each finding is a sentence; none when the text is right. */
function findings(document: string, text: string): readonly string[] {
  const prose = withoutFences(text);
  const shown = readFiles(text);
  const paths = [...prose.matchAll(/`([^`\n]+)`/g)].flatMap(([, quoted = ""]) =>
    isThere(quoted) || shown.has(quoted)
      ? []
      : `${document} names \`${quoted}\`, which is not there`,
  );
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
    const broken = whyBroken(document, text, target);
    return broken === undefined ? [] : `${document} links to ${target}: ${broken}`;
  });
  return [...paths, ...links];
}

function withoutFences(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, "");
}

/** True also for what is no path of this repository. */
function isThere(quoted: string): boolean {
  if (built.has(quoted) || examples.has(quoted)) return true;
  if (/^[\w-]+(?:\.[\w-]+)*\.(?:ts|mjs|md)$/.test(quoted)) {
    return fileNames.has(quoted) || isFile(quoted);
  }
  const [first = ""] = quoted.split("/");
  const isPath = /^[\w.-]+(?:\/[\w.*-]+)+\/?$/.test(quoted);
  if (!isPath) return true;
  // A pattern of file names: its folder counts.
  const path = quoted.includes("*") ? dirname(quoted.slice(0, quoted.indexOf("*") + 1)) : quoted;
  if (firstFolders.includes(first)) return existsSync(join(sourceRoot, path));
  if (!sourceFolders.has(first)) return true;
  return existsSync(join(sourceRoot, "src", path));
}

function isFile(path: string): boolean {
  return statSync(join(sourceRoot, path), { throwIfNoEntry: false })?.isFile() === true;
}

function whyBroken(document: string, text: string, target: string): string | undefined {
  if (/^https?:/.test(target)) return undefined;
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? document : normalize(join(dirname(document), path));
  const whole = join(sourceRoot, file);
  if (path !== "" && !existsSync(whole)) return "there is no such file";
  if (anchor === undefined) return undefined;
  const linked = path === "" ? text : readFileSync(whole, "utf8");
  return headings(linked).includes(anchor) ? undefined : "there is no such heading";
}

/** As code hosts name them in addresses. */
function headings(text: string): readonly string[] {
  return [...withoutFences(text).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("what a document points at is there", () => {
  test.each(documents)("%s", (document) => {
    expect(findings(document, readFileSync(join(sourceRoot, document), "utf8"))).toEqual([]);
  });
});

describe("what is not there is found", () => {
  const wrong: readonly (readonly [text: string, finding: string])[] = [
    ["`src/engine/nothing.ts`", "`src/engine/nothing.ts`"],
    ["`engine/nothing.ts`", "`engine/nothing.ts`"],
    ["`docs/nowhere/`", "`docs/nowhere/`"],
    ["`nobody-has-this.ts`", "`nobody-has-this.ts`"],
    ["`test/nowhere/*.test.ts`", "`test/nowhere/*.test.ts`"],
    ["[a](nothing.md)", "no such file"],
    ["[a](README.md#nothing)", "no such heading"],
    ["[a](#nothing)", "no such heading"],
  ];
  test.each(wrong)("%s", (text, finding) => {
    expect(findings("X.md", text).join("\n")).toInclude(finding);
  });

  test("what is no path is left alone", () => {
    const text = "`/var/lib/holdfast` `type/device` `<root>/trash` `npm run x` `GET /a/b` `a.b`";
    expect(findings("X.md", text)).toEqual([]);
  });
});

test("the configuration file that the reference shows is accepted", () => {
  const text = readFileSync(join(sourceRoot, "docs/reference/config.md"), "utf8");
  const [example] = readFences(text).filter(({ language }) => language === "toml");
  const folder = mkdtempSync(join(tmpdir(), "holdfast-documents-"));
  const file = join(folder, "config.toml");
  writeFileSync(file, example?.lines.join("\n") ?? "");
  const config = readConfig({ args: ["--config", file], environment: {}, userId: 0 });
  rmSync(folder, { recursive: true });
  expect(config).toMatchObject({
    root: "/srv/holdfast",
    sockets: ["/run/holdfast/holdfast.sock", "/srv/apps/holdfast.sock"],
    pluginSocket: "/run/docker/plugins/holdfast.sock",
    group: "storage",
    logLevel: "warn",
  });
});
