// The helper commands that `Host.assist` runs: which function each one is.
import type { AssistRequest } from "../core/host.ts";
import { type AssistWork, runAssist } from "../host/assist-frame.ts";

/** A line for each: `"storage-step": async () => (await import("…")).storageStep,`. */
const assistCommands: Partial<Record<AssistRequest["command"], () => Promise<AssistWork>>> = {
  "measure-storage": async () =>
    (await import("../host/measure/measure-storage.ts")).measureStorage,
  "recognise-data": async () => (await import("../host/recognise-data.ts")).recogniseData,
  "publish-step": async () => (await import("../host/publish/publish-step.ts")).publishStep,
  "publish-unpack": async () => (await import("../host/publish/publish-unpack.ts")).publishUnpack,
  "storage-step": async () => (await import("../host/storage-step.ts")).storageStep,
};

/**
 * Not for people: no help, no place in the table of commands. undefined: the word names none of
 * them; otherwise the exit status.
 */
export async function runAssistCommand(word: string): Promise<number | undefined> {
  const found = Object.entries(assistCommands).find(([name]) => name === word);
  return found === undefined ? undefined : runAssist(await found[1]());
}
