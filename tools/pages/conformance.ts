// docs/reference/conformance.md: what every driver promises, and whether a check proves it.
import { volumeDriverChecks } from "../../src/conformance/volume-driver.ts";

export function renderConformance(): string {
  return [
    "# What every driver promises",
    "",
    "Generated from `src/conformance/` by `npm run generate`. On your own storage these checks run",
    "by `holdfast verify driver local --root DIR`; `test/conformance.test.ts` runs them over every",
    "driver. A promise of something that a driver does not offer is not applicable to it. Neither",
    "is to a volume plugin what Docker's protocol has no words for: `holdfast verify plugin` has",
    "the rest of these, and checks [what a plugin must do](plugin-protocol.md).",
    "",
    ...volumeDriverChecks.map(({ promise }, index) => `${index + 1}. ${promise}`),
    "",
  ].join("\n");
}
