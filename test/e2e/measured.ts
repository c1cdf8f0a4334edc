// Whoever reads a document types more slowly than a test: by then the trash has been measured.
import { eventually } from "../support/child.ts";

/** Measuring begins a second after a removal. */
const timeoutMs = 20_000;

/** The contract of src/api/holdfast/trash-contract.ts. */
interface TrashPage {
  readonly entries: readonly {
    readonly phase: "kept" | "purging";
    readonly sizeBytes: number | null;
    readonly options: Readonly<Record<string, string>> | null;
  }[];
}

/** What lies on a device of its own is never measured. */
function isSettled({ phase, sizeBytes, options }: TrashPage["entries"][number]): boolean {
  return phase === "kept" && (sizeBytes !== null || options?.["device"] !== undefined);
}

/** Before `holdfast trash …` waits until the daemon has measured and purged what it is to. */
export async function untilMeasured(words: readonly string[], socketPath: string): Promise<void> {
  if (words[0] !== "trash") return;
  let seen = "";
  const isIdle = async (): Promise<true | undefined> => {
    const answer = await fetch("http://holdfast/holdfast/v1/trash", { unix: socketPath });
    const { entries } = (await answer.json()) as TrashPage;
    seen = JSON.stringify(entries);
    return entries.every(isSettled) ? true : undefined;
  };
  await eventually(isIdle, { timeoutMs, otherwise: () => `not measured: ${seen}` });
}
