// docs/reference/storage.md: what is measured of storage, and what each use needs of it.
import { abilities } from "../../src/core/volume-report.ts";
import { abilityWords } from "../../src/doctor/volume/ability-words.ts";
import { type Rule, uses } from "../../src/doctor/volume/fitness.ts";

export function renderStorage(): string {
  return [
    "# What storage is measured for, and what needs it",
    "",
    "Generated from `src/doctor/volume/` by `npm run generate`. `holdfast doctor VOLUME` measures",
    "and judges by this: [the guide](../guide/doctor.md) has examples.",
    "",
    "## Measured",
    "",
    "| ability | how it is found out | figure |",
    "|---|---|---|",
    ...abilities.map((ability) => {
      const { tried, figure = "" } = abilityWords[ability];
      return `| \`${ability}\` | ${tried} | ${figure} |`;
    }),
    "",
    "An answer is `yes`, `no` or `unknown`; what storage refuses with an error is `no`.",
    "",
    "## Needed",
    "",
    "Without what it *needs* a use is `unfit` (or `unknown`, where the answer is); without what it",
    "*wants* it is `care`.",
    ...uses.flatMap(({ use, title, rules }) => [
      "",
      `### ${title} (\`--for ${use}\`)`,
      "",
      "| | ability | because | what to do |",
      "|---|---|---|---|",
      ...rules.map(ruleLine),
    ]),
    "",
  ].join("\n");
}

function ruleLine({ kind, ability, most, because, change }: Rule): string {
  const limit = most === undefined ? "" : `, at most ${most} ms`;
  return `| ${kind}s | \`${ability}\`${limit} | ${because} | ${change} |`;
}
