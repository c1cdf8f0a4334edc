// The conformance checks of a kind of NAS, run on the client machine, and what came out of them.
import { join } from "node:path";
import type { Lab } from "./lab.ts";
import type { Nas } from "./nas.ts";
import { SMB_PASSWORD } from "./samba-server.ts";

/** A line of conformance-run.ts. */
export interface LabOutcome {
  readonly promise: string;
  readonly outcome: "kept" | "broken" | "not_applicable";
  /** Why it is broken. */
  readonly error?: string;
  readonly tookMs: number;
}

export interface LabConformance {
  readonly outcomes: readonly LabOutcome[];
  readonly leftBehind: readonly string[];
}

/** `only`: beginnings of promises; none is all. Throws when the run does not come to its end. */
export async function runConformance(
  lab: Lab,
  nas: Nas,
  only: readonly string[],
  timeoutMs: number,
): Promise<LabConformance> {
  const sets = nas.optionSets.map((own) => ({ ...nas.options, ...own }));
  const command = [
    ...["env", `LAB_PASSWORD=${SMB_PASSWORD}`, `LAB_ONLY=${only.join("|")}`, process.execPath],
    ...[join(import.meta.dir, "conformance-run.ts"), nas.driver, nas.folder(lab)],
    ...sets.map((set) => JSON.stringify(set)),
  ];
  const { text, errors } = await lab.machine.ask({ does: "run", command, timeoutMs });
  const lines = text.trim().split("\n");
  // What our own run printed, and last of all what it left behind.
  const last = JSON.parse(lines.pop() ?? "{}") as Partial<Pick<LabConformance, "leftBehind">>;
  if (last.leftBehind === undefined) throw new Error(`${text}\n${errors}`);
  const outcomes = lines.map((line) => JSON.parse(line) as LabOutcome);
  return { outcomes, leftBehind: last.leftBehind };
}
