// The bench's command line.

/** What the command line asks for. */
export interface Options {
  readonly isQuick: boolean;
  /** Words that select groups or rows; empty means everything. */
  readonly only: readonly string[];
  /** Rounds that count; missing means the usual number. */
  readonly rounds: number | undefined;
  /** Where the images and sockets go; missing means a new directory below /var/tmp. */
  readonly directory: string | undefined;
  /** What is measured against dockerd. A second dockerd shows what the bench itself adds. */
  readonly candidate: "holdfast" | "dockerd";
  /** Holdfast's executable; missing means the one that `npm run build` makes. */
  readonly executable: string | undefined;
  /** Where the page is written; missing means docs/bench.md, for whole runs only. */
  readonly output: string | undefined;
}

/** What `--help` prints. */
export const usage = `Usage: npm run bench -- [OPTIONS]

Measures Holdfast against dockerd in paired runs and writes docs/bench.md. Needs root.

  --quick                 small sizes and two rounds: shows that everything runs
  --only WORD[,WORD]...   only these groups or rows, such as: create,list
  --rounds N              rounds that count, 1 to 100 (default 11, with --quick 2)
  --dir DIR               where the file system's image goes (default: below /var/tmp)
  --candidate NAME        holdfast or dockerd (a second dockerd: all ratios should be about 1)
  --holdfast FILE         Holdfast's executable (default: dist/holdfast)
  --output FILE           where the page goes; without it only a whole run of Holdfast with at
                          least 5 rounds writes docs/bench.md
  --help                  this text
`;

const ROUNDS_MAX = 100;

/** Reads the arguments. Throws an error that names the argument and the rule it breaks. */
export function parseOptions(words: readonly string[]): Options | "help" {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const waiting = [...words];
  for (let word = waiting.shift(); word !== undefined; word = waiting.shift()) {
    const [name = "", ...joined] = word.split("=");
    if (name === "--quick" || name === "--help") {
      flags.add(name);
    } else if (valueOptions.has(name)) {
      const value = joined.length > 0 ? joined.join("=") : waiting.shift();
      if (value === undefined || value === "") {
        throw new Error(`${name} needs a value; see --help`);
      }
      values.set(name, value);
    } else {
      throw new Error(`${word} is not an option of the bench; see --help`);
    }
  }
  if (flags.has("--help")) {
    return "help";
  }
  return {
    isQuick: flags.has("--quick"),
    only: values.get("--only")?.split(",").filter(Boolean) ?? [],
    rounds: parsedRounds(values.get("--rounds")),
    directory: values.get("--dir"),
    candidate: parsedCandidate(values.get("--candidate")),
    executable: values.get("--holdfast"),
    output: values.get("--output"),
  };
}

const valueOptions: ReadonlySet<string> = new Set([
  "--only",
  "--rounds",
  "--dir",
  "--candidate",
  "--holdfast",
  "--output",
]);

function parsedRounds(text: string | undefined): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new Error(`--rounds is a whole number from 1 to ${ROUNDS_MAX}, not ${text}`);
  }
  return rounds;
}

function parsedCandidate(text: string | undefined): "holdfast" | "dockerd" {
  if (text === undefined || text === "holdfast" || text === "dockerd") {
    return text ?? "holdfast";
  }
  throw new Error(`--candidate is holdfast or dockerd, not ${text}`);
}
