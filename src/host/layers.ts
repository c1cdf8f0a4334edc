// Unpacks layers through a helper process, and makes its answer ours.
import { type ErrorCode, errorTable } from "../core/error-table.ts";
import { EngineError } from "../core/errors.ts";
import type { Host, LayerRequest, ProgramResult } from "../core/host.ts";
import { ownExecutable, UNPACK_LAYER_COMMAND } from "./own-executable.ts";
import { findProgram, runWith, type StartProgram } from "./programs.ts";
import type { UnpackedLayer } from "./unpack-here.ts";

/** What is left of root's capabilities: owners, modes, devices, capabilities of files, chroot. */
const capabilities = [
  ...["-all", "+chown", "+dac_override", "+fowner", "+fsetid", "+mknod", "+setfcap"],
  "+sys_chroot",
].join(",");

/** What the helper prints, as JSON. */
export type UnpackAnswer =
  | UnpackedLayer
  | {
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };

/** The `unpackLayer` of core/host.ts. The helper ends with the daemon. */
export function makeLayers(start: StartProgram): Pick<Host, "unpackLayer"> {
  const run = runWith(start);
  return {
    async unpackLayer(request, operation) {
      const [program, ...args] = commandFor(request);
      const answer = readAnswer(await run(program, args, operation));
      if ("code" in answer) {
        throw new EngineError(answer.code, answer.message, { details: answer.details });
      }
      if (answer.ignored.length > 0) {
        const { into } = request;
        operation.log.warn("extended attributes were left out", { into, entries: answer.ignored });
      }
    },
  };
}

function commandFor(request: LayerRequest): [program: string, ...args: string[]] {
  const { archive, into, bytesMax, entryCountMax } = request;
  const numbers = [String(bytesMax), String(entryCountMax)];
  const helper = ownExecutable(UNPACK_LAYER_COMMAND, archive, into, ...numbers);
  // Containers' images may come without it.
  if (findProgram("setpriv") === undefined) return helper;
  const rights = ["--bounding-set", capabilities, "--no-new-privs", "--pdeathsig", "KILL"];
  return ["setpriv", ...rights, "--", ...helper];
}

function readAnswer({ stdout, stderr, exitCode }: ProgramResult): UnpackAnswer {
  const answer = parse(stdout);
  if (answer !== undefined) return answer;
  const words = stderr.trim().slice(-1000) || `status ${exitCode}`;
  throw new EngineError("storage.failed", `error while unpacking a layer: ${words}`, {
    details: { exitCode },
  });
}

/** undefined: the helper was ended before it said anything. */
function parse(text: string): UnpackAnswer | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer !== "object" || answer === null) return undefined;
    const isFailure = "code" in answer && Object.hasOwn(errorTable, String(answer.code));
    // The helper is this same executable: it prints what the type says.
    return isFailure || "ignored" in answer ? (answer as UnpackAnswer) : undefined;
  } catch {
    return undefined;
  }
}
