// docs/reference/errors.md: the error table as a page.
import { type ErrorEntry, errorTable } from "../../src/core/error-table.ts";

export function renderErrors(): string {
  const rows = Object.entries<ErrorEntry>(errorTable)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([code, entry]) => {
      const retry = entry.retry ? "yes" : "no";
      return `| \`${code}\` | ${entry.kind} | ${retry} | ${entry.recovery} |`;
    });
  return [
    "# Errors",
    "",
    "Generated from `src/core/error-table.ts` by `npm run generate`.",
    "",
    "`code` is stable: act on it, never on the message. Holdfast's own routes answer it beside",
    "the message; Docker's routes answer Docker's texts. `retry` says whether the same call may",
    "succeed later without anything being changed by whoever calls.",
    "",
    "| code | kind | retry | what to do |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
