// Gives the command line what starts commands in its place.
import type { Foreground } from "../core/foreground.ts";
import { foreground } from "../host/foreground.ts";

/** Of this process; see `foreground`. */
export function thisForeground(): Foreground {
  return foreground();
}
