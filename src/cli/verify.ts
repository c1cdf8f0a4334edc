// `holdfast verify driver NAME`: runs the conformance checks on the user's own storage.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { keyValues } from "./volume.ts";

export interface VerifyRequest {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  /** An empty directory on the storage; without it the checks choose one. */
  readonly root: string | undefined;
}

export interface VerifyReport {
  /** Every promise was kept, and everything the checks made is removed. */
  readonly isWhole: boolean;
  /** For people, with its line ends. */
  readonly text: string;
  /** One per promise, for `--json`. */
  readonly promises: readonly {
    readonly promise: string;
    readonly outcome: "kept" | "broken" | "not_applicable";
    /** Why it is broken, in a sentence. */
    readonly reason?: string | undefined;
  }[];
  /** What the checks made and could not remove again, in words for a person. */
  readonly leftBehind: readonly string[];
}

/** Given by the program that assembles everything: no check and no driver is known here. */
export type VerifyDriver = (request: VerifyRequest) => Promise<VerifyReport>;

/** Exit codes of STYLE.md, section 6. */
const exits = { conflict: 4, unsupported: 6 };

export async function verify(invocation: Invocation): Promise<number> {
  const { options, positional, terminal, parts } = invocation;
  if (parts.verifyDriver === undefined) {
    throw new CliFailure("this build of holdfast has no conformance checks", exits.unsupported);
  }
  const report = await parts.verifyDriver({
    driver: positional[0] ?? "",
    options: keyValues(options.all("opt")) ?? {},
    root: options.text("root"),
  });
  const leftBehind = report.leftBehind.map((what) => ({ leftBehind: what }));
  const lines = [...report.promises, ...leftBehind].map((line) => `${JSON.stringify(line)}\n`);
  await terminal.out(options.flag("json") ? lines.join("") : report.text);
  return report.isWhole ? 0 : exits.conflict;
}
