// `holdfast verify driver NAME`: runs the conformance checks on the user's own storage.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { keyValues } from "./volume.ts";

export interface VerifyRequest {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  /** An empty directory on the storage; without it a temporary one below the daemon's root. */
  readonly root: string | undefined;
}

/** One promise of the contract, and whether the driver kept it. */
export interface VerifiedPromise {
  readonly promise: string;
  readonly outcome: "kept" | "broken" | "not_applicable";
  /** Why it is broken, in a sentence. */
  readonly reason?: string | undefined;
}

/** Given by the program that assembles everything: the command line knows neither checks nor drivers. */
export type VerifyDriver = (request: VerifyRequest) => AsyncIterable<VerifiedPromise>;

/** Exit codes of STYLE.md, section 6. */
const exits = { conflict: 4, unsupported: 6 };

const marks: Readonly<Record<VerifiedPromise["outcome"], string>> = {
  kept: "kept   ",
  broken: "BROKEN ",
  not_applicable: "-      ",
};

export async function verify({
  options,
  positional,
  terminal,
  parts,
}: Invocation): Promise<number> {
  if (parts.verifyDriver === undefined) {
    throw new CliFailure("this build of holdfast has no conformance checks", exits.unsupported);
  }
  const request: VerifyRequest = {
    driver: positional[0] ?? "",
    options: keyValues(options.all("opt")) ?? {},
    root: options.text("root"),
  };
  const counts = { kept: 0, broken: 0, not_applicable: 0 };
  for await (const check of parts.verifyDriver(request)) {
    counts[check.outcome]++;
    const reason = check.reason === undefined ? "" : `\n         ${check.reason}`;
    const line = `${marks[check.outcome]} ${check.promise}${reason}`;
    await terminal.out(`${options.flag("json") ? JSON.stringify(check) : line}\n`);
  }
  if (!options.flag("json")) {
    await terminal.out(
      `\n${counts.kept} kept, ${counts.broken} broken, ${counts.not_applicable} not applicable\n`,
    );
  }
  return counts.broken > 0 ? exits.conflict : 0;
}
