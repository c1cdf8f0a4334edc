// The option that every command with an output has.
import type { OptionSpec } from "./command.ts";

export const jsonOption: OptionSpec = {
  name: "json",
  kind: "flag",
  summary: "Print one JSON object per line, in a form that stays as it is",
};
