// The options of the `local` driver for help and completion; options.ts checks them.
import type { OptionRule } from "../../remote/kind.ts";

/** In the order of docs/drivers/local.md. */
export const localRules: readonly OptionRule[] = [
  {
    name: "type",
    value: "TYPE",
    help: "The file system, as mount -t takes it; none for a bind mount; needs device",
  },
  {
    name: "device",
    value: "DEVICE",
    help: "What is mounted: a path, a block device, server:/export; needs type",
  },
  {
    name: "o",
    value: "WORDS",
    help: "Words for mount -o, separated by commas; needs device and type",
  },
  {
    name: "size",
    value: "BYTES",
    help: "A quota: 0 is accepted, any other is refused, as Docker does without project quotas",
  },
];
