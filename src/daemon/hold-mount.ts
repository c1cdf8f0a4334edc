// `holdfast hold-mount SOURCE TARGET [BENEATH]`: one mount, by a process that can be abandoned.
import { EngineError } from "../core/errors.ts";
import { bindHere } from "../host/hold-mounts.ts";

/** Not for people: no help, no place in the table of commands. Returns the exit status. */
export function runHoldMount([source, target, beneath]: readonly string[]): number {
  if (source === undefined || target === undefined) {
    console.error("hold-mount: SOURCE and TARGET are missing");
    return 2;
  }
  try {
    bindHere({ source, target, beneath }, { mayCross: true });
    return 0;
  } catch (thrown) {
    if (!(thrown instanceof EngineError)) throw thrown;
    // The daemon says the rest in its own words.
    console.error(String(thrown.details["words"] ?? thrown.message));
    return 1;
  }
}
