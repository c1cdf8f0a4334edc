// Whoever reads a document types more slowly than a test: by then the trash has been measured.
import { eventually } from "../support/child.ts";

/** Measuring begins a second after a removal. */
const timeoutMs = 20_000;

/** Before `holdfast trash …` waits until the daemon has measured and purged what it is to. */
export async function untilMeasured(words: readonly string[], socketPath: string): Promise<void> {
  if (words[0] !== "trash") return;
  let seen = "";
  const isIdle = async (): Promise<true | undefined> => {
    const answer = await fetch("http://holdfast/holdfast/v1/trash", { unix: socketPath });
    // The contract of src/api/holdfast/trash-contract.ts.
    const { totals } = (await answer.json()) as {
      readonly totals: { readonly purging: number; readonly unmeasured: number };
    };
    seen = JSON.stringify(totals);
    return totals.purging === 0 && totals.unmeasured === 0 ? true : undefined;
  };
  await eventually(isIdle, { timeoutMs, otherwise: () => `not measured: ${seen}` });
}
