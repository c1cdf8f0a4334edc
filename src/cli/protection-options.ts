// The options of protecting and of lifting it, for volumes and for entries of the trash.
import type { OptionSpec } from "./command.ts";

export const reasonOption: OptionSpec = {
  name: "reason",
  kind: "string",
  summary: "Why, in a line",
};

export const confirmOption: OptionSpec = {
  name: "confirm",
  kind: "string",
  summary: "The volume's name, instead of being asked",
};
