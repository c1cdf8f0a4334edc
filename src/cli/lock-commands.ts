// The commands of locks, as data.
import type { Command, OptionSpec } from "./command.ts";
import { formatWords } from "./format-words.ts";
import { jsonOption } from "./json-option.ts";
import { notStartedExit } from "./lock-exits.ts";
import { checkSpan, checkTtl } from "./lock-times.ts";

const volumeOption: OptionSpec = {
  name: "volume",
  kind: "string",
  summary: "The volume whose lock it is, where the name does not say it as VOLUME/NAME",
  completes: "volumes",
};

const sharedOption: OptionSpec = {
  name: "shared",
  short: "s",
  kind: "flag",
  summary: "Hold it together with others that share it; nobody has it exclusively meanwhile",
};

const waitOption: OptionSpec = {
  name: "wait",
  short: "w",
  kind: "string",
  summary: "Wait no longer than that (10s, 5m); without it there is no limit, as with flock(1)",
  check: checkSpan,
};

const nonblockOption: OptionSpec = {
  name: "nonblock",
  short: "n",
  kind: "flag",
  summary: "Do not wait: the same as --wait 0",
};

const exitOption: OptionSpec = {
  name: "conflict-exit-code",
  short: "E",
  kind: "int",
  summary: "How to end when it was not free in time",
  default: "75",
  check: (text) =>
    /^[0-9]{1,3}$/.test(text) && Number(text) < 256 ? undefined : "write a number up to 255",
};

function labelOption(standard: string): OptionSpec {
  return { name: "label", kind: "string", summary: `What others see as who has it${standard}` };
}

function ttlOption(summary: string, standard?: string): OptionSpec {
  const base = { name: "ttl", kind: "string", summary, check: checkTtl } as const;
  return standard === undefined ? base : { ...base, default: standard };
}

const lostWords = ["term", "kill", "ignore"] as const;

const runCommand: Command = {
  words: ["lock", "run"],
  summary: "Run a command while holding a lock of a volume",
  details:
    "Ends as the command does: with its exit code, or 128+n where signal n ended it.\n" +
    "Otherwise:\n" +
    "  75   the lock was not free in time (see --conflict-exit-code)\n" +
    "  79   the lock was lost while the command ran\n" +
    "  125  the lock was refused, or the daemon does not answer: nothing was started\n" +
    "  126  the command cannot be executed\n" +
    "  127  there is no such command\n\n" +
    "The command has HOLDFAST_LOCK_FENCE, HOLDFAST_LOCK_ID, HOLDFAST_LOCK_NAME and\n" +
    "HOLDFAST_VOLUME in its environment, and gets the signals that lock run gets.\n" +
    "A daemon that is restarted loses no lock. If lock run is killed by SIGKILL, the\n" +
    "kernel kills the command with it; what the command has started by then goes on,\n" +
    "and only --file keeps others out until that has ended, too.",
  usage: "[OPTIONS] NAME -- COMMAND [ARG...]",
  argumentCount: { min: 2, max: Number.POSITIVE_INFINITY },
  countExit: notStartedExit,
  options: [
    volumeOption,
    sharedOption,
    waitOption,
    nonblockOption,
    exitOption,
    ttlOption("How long it lives when it is not renewed, which happens thrice in that time", "30s"),
    labelOption(": by itself the name of the command"),
    {
      name: "file",
      kind: "string",
      summary:
        "Also lock this file of the volume with flock(2), for programs that know nothing of " +
        "us. It is made when it is missing",
    },
    {
      name: "on-lost",
      kind: "string",
      summary: "What to do with the command when the lock is lost: term, kill or ignore",
      default: "term",
      values: lostWords,
      check: (text) =>
        lostWords.some((word) => word === text) ? undefined : "write term, kill or ignore",
    },
    {
      name: "kill-after",
      short: "k",
      kind: "string",
      summary: "How long after SIGTERM comes SIGKILL",
      default: "10s",
      check: checkSpan,
    },
  ],
  examples: [
    {
      line: "holdfast lock run --volume assets publish -- ./publish.sh",
      about: "One publisher at a time",
    },
    {
      line: "holdfast lock run --nonblock assets/cleanup -- ./cleanup.sh",
      about: "In a cron job: where the last one still runs, this one ends with 75",
    },
    {
      line: "holdfast lock run --file .lock assets/publish -- ./publish.sh",
      about: "Agrees with programs that say flock .lock, also in containers",
    },
  ],
  completes: "locks",
};

const acquireCommand: Command = {
  words: ["lock", "acquire"],
  summary: "Take a lock for a script, and print VOLUME/NAME/ID, by which it is released",
  details:
    "It ends with the process of --pid, which is the shell that runs the script where\n" +
    "nothing is said, and after a day, or --ttl. Ends with 75 where it was not free in\n" +
    "time. Whoever can, uses lock run: that notices when the lock is lost.",
  usage: "[OPTIONS] NAME",
  argumentCount: { min: 1, max: 1 },
  options: [
    volumeOption,
    sharedOption,
    waitOption,
    nonblockOption,
    exitOption,
    {
      name: "pid",
      kind: "int",
      summary: "The process with which it ends, in place of the shell that runs the script",
    },
    {
      name: "no-process",
      kind: "flag",
      summary: "Only --ttl, release and steal end it",
    },
    ttlOption("How long it lives when it is not renewed; by itself a day"),
    labelOption(""),
    { name: "format", kind: "string", summary: "A Go template, as {{.Fence}}" },
    jsonOption,
  ],
  examples: [
    {
      line: "lock=$(holdfast lock acquire --wait 1m assets/publish) || exit",
      about: "In a script: until the script ends, or the next line",
    },
    { line: 'holdfast lock release "$lock"', about: "And earlier" },
    {
      line: "holdfast lock acquire --no-process --ttl 10m --json assets/upload",
      about: "For another process, which renews and releases it",
    },
  ],
  completes: "locks",
};

export const lockCommands: readonly Command[] = [
  runCommand,
  acquireCommand,
  {
    words: ["lock", "renew"],
    summary:
      "Have a lock of lock acquire live on from now. Ends with 4 when it is lost, and with 3 " +
      "when it was released",
    usage: "[OPTIONS] VOLUME/NAME/ID",
    argumentCount: { min: 1, max: 1 },
    options: [ttlOption("For so long; by itself for as long as before"), jsonOption],
    examples: [{ line: 'holdfast lock renew --ttl 5m "$lock"', about: "Prints until when" }],
    completes: "nothing",
  },
  {
    words: ["lock", "release"],
    summary:
      "Give locks of lock acquire back. Ends with 4 where one was lost before, and with 3 " +
      "where nobody has it by that word",
    usage: "VOLUME/NAME/ID [VOLUME/NAME/ID...]",
    argumentCount: { min: 1, max: Number.POSITIVE_INFINITY },
    options: [jsonOption],
    examples: [{ line: 'holdfast lock release "$lock"', about: "The next one gets it at once" }],
    completes: "nothing",
  },
  {
    words: ["lock", "ls"],
    aliases: ["list"],
    summary: "List the locks that are held, and who holds them",
    usage: "[OPTIONS]",
    argumentCount: { min: 0, max: 0 },
    options: [
      { ...volumeOption, summary: "Only those of this volume" },
      { name: "format", kind: "string", summary: formatWords },
      { name: "quiet", short: "q", kind: "flag", summary: "Only display VOLUME/NAME" },
      jsonOption,
    ],
    examples: [{ line: "holdfast lock ls", about: "Who has which lock, and how many wait" }],
    completes: "nothing",
  },
  {
    words: ["lock", "steal"],
    summary:
      "Take a lock away from its holder. The holder is told; whether it stops is its own affair, " +
      "and storage that compares fences refuses it",
    usage: "[OPTIONS] NAME",
    argumentCount: { min: 1, max: 1 },
    options: [
      volumeOption,
      { name: "force", short: "f", kind: "flag", summary: "Do not ask" },
      {
        name: "fence",
        kind: "string",
        summary: "Only if it is held with this fence; needed where several share it",
        check: (text) => (/^[0-9]{1,20}$/.test(text) ? undefined : "write the number of lock ls"),
      },
      jsonOption,
    ],
    examples: [
      { line: "holdfast lock steal assets/publish", about: "Shows who loses it, and asks" },
      { line: "holdfast lock steal --force assets/publish", about: "In a script" },
    ],
    completes: "locks",
  },
];
