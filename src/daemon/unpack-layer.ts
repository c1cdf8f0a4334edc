// `holdfast unpack-layer ARCHIVE INTO BYTES ENTRIES`: one layer, in a process of its own.
import { writeSync } from "node:fs";
import { toEngineError } from "../core/errors.ts";
import type { UnpackAnswer } from "../host/layers.ts";
import { unpackHere } from "../host/unpack-here.ts";

/**
 * Not for people: no help, no place in the table of commands. Prints an `UnpackAnswer`, and returns
 * the exit status.
 */
export async function runUnpackLayer(words: readonly string[]): Promise<number> {
  const [archive, into, bytesMax, entryCountMax] = words;
  if (archive === undefined || into === undefined || !entryCountMax) {
    console.error("unpack-layer: ARCHIVE, INTO, BYTES and ENTRIES are missing");
    return 2;
  }
  const limits = { bytesMax: Number(bytesMax), entryCountMax: Number(entryCountMax) };
  try {
    return answer(await unpackHere({ archive, into, ...limits }), 0);
  } catch (thrown) {
    const { code, message, details } = toEngineError(thrown);
    return answer({ code, message, details }, 1);
  }
}

function answer(said: UnpackAnswer, status: number): number {
  // Whole before the process ends.
  writeSync(1, JSON.stringify(said));
  return status;
}
