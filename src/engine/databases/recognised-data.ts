// What is in a directory, by its files: asked of a helper, and worded for one line.
import type { Host } from "../../core/host.ts";
import type { Operation } from "../../core/operation.ts";
import { saidBy } from "../../core/printable.ts";
import type { RecognisedData } from "../../core/volume-report.ts";

/**
 * Outer ones first; the helper has the directory as its root meanwhile. Throws `storage.*`, and
 * what `assist` throws.
 */
export async function recognisedIn(
  host: Pick<Host, "assist">,
  directory: string,
  operation: Operation,
): Promise<readonly RecognisedData[]> {
  const asking = { command: "recognise-data", directory, input: null } as const;
  // The helper is this same executable, and answers nothing else.
  return (await host.assist(asking, operation)) as readonly RecognisedData[];
}

/** For one line: `PostgreSQL 15 in db`. */
export function recognisedText({ title, path }: RecognisedData): string {
  const text = path === "" ? title : `${title} in ${path}`;
  // Names of files are whatever somebody called them.
  return saidBy(text.replaceAll(/\s+/g, " "));
}
