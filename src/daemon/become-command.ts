// `holdfast become-command`: the helper process of `holdfast lock run`.
import { runBecomeCommand } from "../host/become-command.ts";

/** Not for people: no help, no place in the table of commands. */
export function runBecome(words: readonly string[]): number {
  return runBecomeCommand(words);
}
