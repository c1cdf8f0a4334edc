// The shape of the code, checked like its behaviour: layers, bans, sizes, first lines, dead files.
//
// The rules live in tools/tidy/, as functions of paths and texts. The first tests hold them against
// this repository; all the others hold them against small texts that break one rule each.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readCode, type SourceFile } from "../tools/source-files.ts";
import { sourceRoot } from "../tools/source-root.ts";
import { banned } from "../tools/tidy/bans.ts";
import { splitCode } from "../tools/tidy/code-text.ts";
import { describeFinding, type Finding } from "../tools/tidy/finding.ts";
import { brokenLayers } from "../tools/tidy/layers.ts";
import { type Lockfile, lockfileFindings } from "../tools/tidy/lockfile.ts";
import { misshapen, orphans } from "../tools/tidy/shape.ts";

/** Both files are written by npm, which keeps their form. */
const manifest = readJson("package.json") as { dependencies?: Readonly<Record<string, string>> };
const lockfile = readJson("package-lock.json") as Lockfile;

describe("this repository", () => {
  const files = readCode();
  const dependencies = Object.keys(manifest.dependencies ?? {});

  test("has code to check", () => {
    expect(files.map(({ path }) => path)).toContain("test/tidy.test.ts");
  });

  test("keeps the walls between its layers", () => {
    expectNone(brokenLayers({ files, dependencies }));
  });

  test("has nothing that is banned", () => {
    expectNone(banned(files));
  });

  test("has files of the right shape", () => {
    expectNone(misshapen(files));
  });

  test("has no file that nobody uses", () => {
    expectNone(orphans(files));
  });

  test("has a lockfile that works everywhere", () => {
    expectNone(lockfileFindings(lockfile));
  });
});

describe("layers", () => {
  const refused: readonly (readonly [path: string, statement: string, message: string])[] = [
    ["src/core/host.ts", 'import { x } from "../drivers/local/driver.ts";', "core must not import"],
    ["src/core/host.ts", 'import { x } from "node:fs";', "that library's contract"],
    ["src/core/host.ts", 'const x = await import("node:fs");', "core must not import node:fs"],
    ["src/conformance/a.ts", 'import { x } from "node:fs";', "stranger's machine"],
    ["src/drivers/nfs/driver.ts", 'import { x } from "../local/driver.ts";', "never know each"],
    ["src/drivers/all.ts", 'import { x } from "../engine/a.ts";', "only lists the drivers"],
    ["src/engine/a.ts", 'import type { X } from "../state/a.ts";', "do not know each other"],
    ["src/state/a.ts", 'import { x } from "../host/database.ts";', "do not know each other"],
    ["src/http/a.ts", 'export { x } from "../api/a.ts";', "do not know each other"],
    ["src/api/a.ts", 'import { x } from "../http/server.ts";', "which server carries it is open"],
    ["src/cli/a.ts", 'import { x } from "../engine/a.ts";', "never the engine"],
    ["src/cli/a.ts", 'import { x } from "../api/docker.ts";', "never the engine"],
    ["src/main.ts", 'import { x } from "./engine/a.ts";', "only chooses"],
    ["src/engine/a.ts", 'import { x } from "../../test/support/a.ts";', "engine must not import"],
    ["src/daemon/a.ts", 'import { x } from "left-pad";', "not in `dependencies`"],
    ["src/nowhere/a.ts", 'import { x } from "../core/a.ts";', "has no line in"],
  ];

  test.each(refused)("%s: %s", (path, statement, message) => {
    const found = brokenLayers({ files: [sample(path, statement)], dependencies: ["pino"] });
    expect(found.map(describeFinding).join("\n")).toInclude(message);
  });

  test("what the table allows is allowed", () => {
    const files = [
      sample("src/core/a.ts", 'import { x } from "./names.ts";'),
      sample("src/conformance/a.ts", 'import assert from "node:assert/strict";'),
      sample("src/drivers/local/a.ts", 'import { x } from "./b.ts";'),
      sample("src/drivers/local/b.ts", 'import { x } from "../../core/a.ts";'),
      sample("src/drivers/all.ts", 'import { x } from "./local/driver.ts";'),
      sample("src/api/a.ts", 'import type { X } from "../http/message.ts";'),
      sample("src/api/b.ts", 'import { type X, type Y } from "../http/message.ts";'),
      sample("src/daemon/assemble.ts", 'import { pino } from "pino";'),
      sample("src/main.ts", 'const x = await import("./daemon/main.ts");'),
      sample("src/engine/a.test.ts", 'import { x } from "../drivers/scratch/driver.ts";'),
      sample("src/core/b.ts", '// import { x } from "node:fs";\nconst x = `import "node:fs"`;'),
    ];
    expectNone(brokenLayers({ files, dependencies: ["pino"] }));
  });

  test("the finding names the line and both ends", () => {
    const file = sample("src/cli/a.ts", 'import type { X } from "../core/a.ts";', refusedImport);
    expect(brokenLayers({ files: [file], dependencies: [] }).map(describeFinding)).toEqual([
      "src/cli/a.ts:3: cli must not import src/engine/volumes.ts: never the engine: whatever the " +
        "command line can do, the API can do",
    ]);
  });
});

describe("bans", () => {
  // A name that is put together here would be found in this file otherwise.
  const skip = ["test", "skip"].join(".");
  const note = ["TO", "DO"].join("");
  const program = ["child", "process"].join("_");
  const refused: readonly (readonly [path: string, statement: string, message: string])[] = [
    ["src/engine/a.ts", `import { spawn } from "node:${program}";`, "only src/host/ starts"],
    ["src/cli/a.ts", 'Bun.spawn(["mount"]);', "only src/host/ starts"],
    ["src/host/a.ts", "Bun.serve({ unix });", "does not tell who calls"],
    ["src/state/a.ts", 'import { Database } from "bun:sqlite";', "what only Bun has"],
    ["src/http/a.ts", "const x = Bun.hash(text);", "what only Bun has"],
    ["test/a.ts", `run("${"sh"}", ["-c", "ls"]);`, "no shell"],
    ["bench/a.ts", `run("/bin/${"bash"}", ["-ec", "ls"]);`, "no shell"],
    ["src/host/a.ts", "spawn(program, { shell: true });", "no shell"],
    ["tools/a.ts", `import { execSync } from "node:${program}";`, "starts a shell"],
    ["src/core/a.ts", "export default x;", "no default exports"],
    ["src/core/a.ts", 'export * from "./names.ts";', "no barrels"],
    ["src/core/a.test.ts", `${skip}("later", () => {});`, "a skip needs a reason"],
    ["src/engine/a.ts", "const at = Date.now();", "come in through the Host"],
    ["src/core/a.ts", `// ${note}: later`, "names its issue"],
  ];

  test.each(refused)("%s: %s", (path, statement, message) => {
    const found = banned([sample(path, statement)])
      .map(describeFinding)
      .join("\n");
    expect(found).toInclude(message);
    expect(found).toStartWith(`${path}:2: `);
  });

  test("the same is fine where it belongs, in comments and in strings", () => {
    expectNone(
      banned([
        sample("src/host/run.ts", `import { spawn } from "node:${program}";`),
        sample("src/host/database.ts", 'import { Database } from "bun:sqlite";'),
        sample("src/cli/a.ts", "await Bun.write(Bun.stdout, text);"),
        sample(
          "src/http/a.ts",
          "// Bun.serve gives no peer credentials.",
          "const x = 'Bun.serve';",
        ),
        sample("src/core/a.ts", `// ${note}(#12): later`, "spawn(program, { shell: false });"),
        sample("src/cli/b.ts", "const at = Date.now();"),
      ]),
    );
  });
});

describe("shape", () => {
  const refused: readonly (readonly [file: SourceFile, message: string])[] = [
    [{ path: "src/core/a.ts", text: "export const x = 1;\n" }, "line one must be a comment"],
    [{ path: "src/core/a.ts", text: "// Things\nexport const x = 1;\n" }, "line one must be"],
    [{ path: "src/core/a.ts", text: "/** A block comment. */\n" }, "line one must be a comment"],
    [sample("src/core/index.ts", "export const x = 1;"), "no barrels"],
    [sample("src/core/all.ts", 'export { x } from "./x.ts";'), "no barrels"],
    [sample("src/core/utils.ts", "export const x = 1;"), "the name says nothing"],
    [sample("src/core/a.ts", `const x = "${"y".repeat(100)}";`), "113 columns, at most 100"],
    [sample("src/core/a.ts", ...Array.from({ length: 400 }, () => "x();")), "401 lines"],
  ];

  test.each(refused)("%j", (file, message) => {
    expect(misshapen([file]).map(describeFinding).join("\n")).toInclude(message);
  });

  test("a file at every limit is fine", () => {
    const wide = `const x = "${"y".repeat(87)}";`;
    const full = sample("src/core/a.ts", wide, ...Array.from({ length: 398 }, () => "x();"));
    expect(wide).toHaveLength(100);
    expectNone(misshapen([full]));
  });

  test("a file is used when it is imported or named, and only then", () => {
    const files = [
      sample("src/main.ts", 'import { x } from "./cli/a.ts";', 'import("./daemon/main.ts");'),
      sample("src/cli/a.ts", 'new Worker(new URL("./worker.ts", import.meta.url));'),
      sample("src/cli/worker.ts", "x();"),
      sample("src/daemon/main.ts", "x();"),
      sample("src/engine/lost.ts", '// import { x } from "./lost.ts";', 'const x = "./lost.ts";'),
      sample("src/engine/lost.test.ts", "x();"),
    ];
    expect(orphans(files).map(({ path }) => path)).toEqual(["src/engine/lost.ts"]);
  });
});

describe("lockfile", () => {
  test("a platform that npm left out, and a registry's host, are found", () => {
    const packages = {
      "node_modules/a": { optionalDependencies: { "@a/linux": "1", "@a/darwin": "1" } },
      "node_modules/@a/linux": {},
      "node_modules/b": { resolved: "somewhere" },
    };
    expect(lockfileFindings({ packages }).map(({ message }) => message)).toEqual([
      "@a/darwin, of node_modules/a, is missing",
      "node_modules/b names a registry's host",
    ]);
  });
});

describe("the views of a text", () => {
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: texts of templates are meant
  const samples: readonly (readonly [text: string, bare: string])[] = [
    ['a("b // c"); // d', 'a("      ");     '],
    ["a('b\\'c', \"d\");", "a('    ', \" \");"],
    ["x = `a ${b(`c ${d}`)} e`;", "x = `  ${b(`  ${d}`)}  `;"],
    ["x = `a ${{ b: 1 }.b} // c`; d", "x = `  ${{ b: 1 }.b}     `; d"],
    ["x = /[\"/]'/.test(y) / 2; // z", "x = /     /.test(y) / 2;     "],
    ["x /* a\nb */ y", "x     \n     y"],
  ];
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: they end here

  test.each(samples)("%j", (text, bare) => {
    expect(splitCode(text).bare).toBe(bare);
  });

  test("a comment is a comment and a string is not", () => {
    expect(splitCode('a("//x"); // y').comments).toBe("          // y");
    expect(splitCode('a("//x"); // y').code).toBe('a("//x");     ');
  });
});

const refusedImport = 'import { x } from "../engine/volumes.ts";';

/** A file of the given lines below a first line that no rule objects to. */
function sample(path: string, ...lines: readonly string[]): SourceFile {
  return { path, text: ["// A sample for these tests.", ...lines, ""].join("\n") };
}

function expectNone(findings: readonly Finding[]): void {
  expect(findings.map(describeFinding)).toEqual([]);
}

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(sourceRoot, name), "utf8"));
}
