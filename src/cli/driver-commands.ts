// The commands about drivers, as data.
import type { Command } from "./command.ts";
import { jsonOption } from "./json-option.ts";

const optionWords = `Set driver specific options. The checks of local
write into the device that is given here, unless it
is a bind mount's; on a server, and on a bind
mount's device, they make directories, use those,
and remove them`;

export const driverCommands: readonly Command[] = [
  {
    words: ["drivers"],
    summary: "List what volumes can be made with, or the options of one driver",
    usage: "[OPTIONS] [DRIVER]",
    argumentCount: { min: 0, max: 1 },
    options: [jsonOption],
    examples: [
      { line: "holdfast drivers", about: "Built-in drivers, and plugins that answer" },
      { line: "holdfast drivers nfs", about: "What can stand behind -o?" },
    ],
    completes: "drivers",
  },
  {
    words: ["verify", "driver"],
    summary: "Check what a driver promises, on your own storage",
    usage: "[OPTIONS] DRIVER",
    argumentCount: { min: 1, max: 1 },
    options: [
      {
        name: "opt",
        short: "o",
        kind: "map",
        completes: "driver options",
        summary: optionWords,
      },
      { name: "root", kind: "string", summary: "An empty directory on the storage to be checked" },
      jsonOption,
    ],
    examples: [
      { line: "holdfast verify driver local --root /mnt/new", about: "Is this disk fit for it?" },
      {
        line: "holdfast verify driver nfs -o server=nas -o path=/tank",
        about: "With new directories on your own server, which are removed again",
      },
    ],
    completes: "drivers",
  },
];
