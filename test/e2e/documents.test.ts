// The commands of README.md and docs/guide/ are run, and print what the documents show.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { isRequirement, type Requirement, whenPossible } from "../support/needs.ts";
import { ShownIds } from "./shown-ids.ts";
import { Stage } from "./stage.ts";
import { readFiles, readTours, type Tour, type TourBlock, tourPlaces } from "./tour.ts";
import { untruths } from "./untruths.ts";

const executable = process.env["HOLDFAST_UNDER_TEST"] ?? join(sourceRoot, "dist", "holdfast");

/** A tour starts daemons and dozens of programs. */
const blockTimeoutMs = 120_000;

const guides = readdirSync(join(sourceRoot, "docs/guide"))
  .toSorted()
  .map((name) => `docs/guide/${name}`);
const tours = ["README.md", ...guides].map((document) => {
  const text = readFileSync(join(sourceRoot, document), "utf8");
  return { document, text, tours: readTours(document, text) };
});

beforeAll(() => {
  // `npm test` has built it already; then this takes no time.
  if (process.env["HOLDFAST_UNDER_TEST"] !== undefined) return;
  const words = [join(sourceRoot, "tools/build.ts"), "--if-older"];
  const build = spawnSync(process.execPath, words, { stdio: "inherit" });
  if (build.status !== 0) throw new Error("dist/holdfast cannot be built");
}, blockTimeoutMs);

for (const each of tours) {
  test(`${each.document} has a tour`, () => {
    // Those with a container engine are played by test/uses/guides.test.ts.
    const count = tourPlaces.flatMap((place) => readTours(each.document, each.text, place)).length;
    expect(count).toBeGreaterThan(0);
  });
  for (const tour of each.tours) describeTour(tour, readFiles(each.text));
}

function describeTour(tour: Tour, files: ReadonlyMap<string, string>): void {
  const [first] = tour.blocks;
  describe(`${tour.document}:${first?.line}`, () => {
    let stage: Stage | undefined;
    const ids = new ShownIds();
    afterAll(async () => stage?.[Symbol.asyncDispose]());
    for (const [index, block] of tour.blocks.entries()) {
      const name = `the tour of ${tour.document}:${block.line} prints what it shows`;
      whenPossible(
        // A block goes on where those before it ended.
        [...new Set(tour.blocks.slice(0, index + 1).flatMap(requirementsOf))],
        name,
        async () => {
          stage ??= await Stage.open(executable, files);
          expect(await untruths(block, stage, ids)).toEqual([]);
        },
        blockTimeoutMs,
      );
    }
  });
}

/** What the document names, and what its programs need. */
function requirementsOf(block: TourBlock): readonly Requirement[] {
  const named = block.needs.map((need) => {
    if (!isRequirement(need)) throw new Error(`line ${block.line}: nobody looks for ${need}`);
    return need;
  });
  return [...named, ...block.steps.flatMap(({ words }) => requirementsOfWords(words))];
}

function requirementsOfWords(words: readonly string[]): readonly Requirement[] {
  const [program, ...rest] = words;
  if (program === "curl") return ["curl"];
  if (program === "docker-registry") return ["docker-registry"];
  if (program === "rclone") return ["root", "rclone", "fuse"];
  if (program !== "docker") return [];
  // Debian's 20.10 has no such option.
  const isNewer = rest.includes("prune") && (rest.includes("--all") || rest.includes("-a"));
  return [isNewer ? "docker-cli-23" : "docker-cli"];
}

describe("a document that does not tell the truth is reported", () => {
  const create = "holdfast volume create";
  const inspect = "holdfast volume inspect";
  const refused: readonly (readonly [what: string, block: string, report: string])[] = [
    ["another output", "$ holdfast volume create one\ntwo", "line 3, holdfast volume create one"],
    ["a line too many", "$ holdfast volume create one\none\ntwo", 'shown: "two"\n   is: (no line)'],
    ["a line too few", "$ holdfast volume create one", 'shown: (no line)\n   is: "one"'],
    ["a command that fails", `$ ${inspect} one\n[{}]`, "get one: no such volume"],
    ["another exit code", `$ ${inspect} one\n[]\n$ echo $?\n0`, 'is: "1"'],
    [
      "a path of another root",
      `$ holdfast volume create one\none\n$ ${inspect} -f '{{.Mountpoint}}' one\n/var/lib/docker`,
      'is: "/var/lib/holdfast/volumes/one/_data"',
    ],
    [
      "a name that is typed wrongly",
      `$ ${create} one\none\n$ holdfast volume rm --purge one\nType one to go on: two\none`,
      "that is not the name",
    ],
  ];

  test.each(refused)(
    "%s",
    async (_, block, report) => {
      const [tour] = readTours("x.md", `<!-- tour -->\n\`\`\`\n${block}\n\`\`\`\n`);
      await using stage = await Stage.open(executable);
      const found = await untruths(tour?.blocks[0] ?? { steps: [] }, stage, new ShownIds());
      expect(found.join("\n")).toInclude(report);
    },
    blockTimeoutMs,
  );

  test("a command line that needs a shell", () => {
    for (const line of ["a | b", "a > b", "a $X", 'a "$X"', "a; b", "a *", "a 'b"]) {
      const text = `<!-- tour -->\n\`\`\`\n$ ${line}\n\`\`\`\n`;
      expect(() => readTours("x.md", text)).toThrow(line);
    }
  });

  test("a block of commands that nobody would run", () => {
    expect(() => readTours("x.md", "```\n$ holdfast df\n```\n")).toThrow("x.md:1");
  });

  test("a file of the machine itself", async () => {
    await using stage = await Stage.open(executable);
    await expect(stage.run(["rm", "/etc/hostname"], [])).rejects.toThrow(
      "may not touch /etc/hostname",
    );
    await expect(stage.run(["docker", "ps"], [])).rejects.toThrow("DOCKER_HOST");
    await expect(stage.run(["reboot"], [])).rejects.toThrow("may not run reboot");
  });
});
