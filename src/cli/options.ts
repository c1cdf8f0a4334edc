// Reads a command's options and arguments as Docker's CLI does (Go's pflag): order is free.
import type { OptionSpec } from "./command.ts";

/** What is wrong with an option, in Docker's words; the caller adds the usage. */
export class OptionError extends Error {
  /** The option that nobody knows, as it was typed: a suggestion may be looked for. */
  readonly unknown: string | undefined;
  constructor(message: string, unknown?: string) {
    super(message);
    this.unknown = unknown;
  }
}

/** The options that were given. */
export class Options {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #defaults: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, readonly string[]>, specs: readonly OptionSpec[]) {
    this.#values = values;
    const defaults = new Map<string, string>();
    for (const spec of specs) if (spec.default !== undefined) defaults.set(spec.name, spec.default);
    this.#defaults = defaults;
  }

  isGiven(name: string): boolean {
    return this.#values.has(name);
  }

  flag(name: string): boolean {
    return this.text(name) === "true";
  }

  /** The last value given, else the default. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1) ?? this.#defaults.get(name);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

export interface Parsed {
  readonly options: Options;
  readonly positional: readonly string[];
  readonly wantsHelp: boolean;
}

const trueWords = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const falseWords = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** `-f, --filter`, as error messages name an option. */
function nameOf(spec: OptionSpec): string {
  return spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

/** Says why `value` is no value for the option; Go's own texts where Go writes them. */
function problemWith(spec: OptionSpec, value: string): string | undefined {
  if (spec.kind === "flag" && !trueWords.has(value) && !falseWords.has(value)) {
    return `strconv.ParseBool: parsing ${quote(value)}: invalid syntax`;
  }
  if (spec.kind === "filter" && value !== "" && !value.includes("=")) {
    return "bad format of filter (expected name=value)";
  }
  return spec.check?.(value);
}

/** One walk over the words of a command line. */
class Walk {
  readonly values = new Map<string, string[]>();
  readonly positional: string[] = [];
  wantsHelp = false;
  readonly #specs: readonly OptionSpec[];
  readonly #words: readonly string[];
  #at = 0;

  constructor(specs: readonly OptionSpec[], words: readonly string[]) {
    this.#specs = specs;
    this.#words = words;
  }

  run(stopsAtArgument: boolean): void {
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at++] ?? "";
      if (word === "--") {
        this.positional.push(...this.#words.slice(this.#at));
        return;
      }
      if (word === "-" || !word.startsWith("-")) {
        this.positional.push(word);
        if (!stopsAtArgument) continue;
        this.positional.push(...this.#words.slice(this.#at));
        return;
      }
      if (word.startsWith("--")) this.#readLong(word);
      else this.#readShort(word);
    }
  }

  #readLong(word: string): void {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    if (name === "" || name.startsWith("-")) throw new OptionError(`bad flag syntax: ${word}`);
    const spec = this.#specs.find((known) => known.name === name);
    if (spec === undefined) {
      if (name !== "help") throw new OptionError(`unknown flag: --${name}`, `--${name}`);
      this.wantsHelp = true;
    } else if (equals >= 0) this.#set(spec, word.slice(equals + 1));
    else if (spec.kind === "flag") this.#set(spec, "true");
    else this.#set(spec, this.#next(`flag needs an argument: --${name}`));
  }

  #readShort(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word[at] ?? "";
      const rest = word.slice(at + 1);
      const spec = this.#specs.find((known) => known.short === letter);
      if (spec !== undefined && (spec.kind !== "flag" || rest.startsWith("="))) {
        // The rest of the word is the value, or the next word when there is no rest.
        const missing = `flag needs an argument: '${letter}' in -${letter}`;
        this.#set(spec, rest === "" ? this.#next(missing) : rest.replace(/^=/, ""));
        return;
      }
      if (spec !== undefined) this.#set(spec, "true");
      else if (letter === "h") this.wantsHelp = true;
      else {
        const message = `unknown shorthand flag: '${letter}' in -${letter}${rest}`;
        throw new OptionError(message, `-${letter}`);
      }
    }
  }

  #next(message: string): string {
    const value = this.#words[this.#at++];
    if (value === undefined) throw new OptionError(message);
    return value;
  }

  #set(spec: OptionSpec, value: string): void {
    const problem = problemWith(spec, value);
    if (problem !== undefined) {
      throw new OptionError(
        `invalid argument ${quote(value)} for "${nameOf(spec)}" flag: ${problem}`,
      );
    }
    const stored = spec.kind === "flag" ? String(trueWords.has(value)) : value;
    const known = this.values.get(spec.name);
    if (known) known.push(stored);
    else this.values.set(spec.name, [stored]);
  }
}

/**
 * Parses `words` against `specs`. With `stopsAtArgument` everything from the first argument on is
 * left alone: that is how the options in front of a command are read.
 */
export function parseOptions(
  specs: readonly OptionSpec[],
  words: readonly string[],
  { stopsAtArgument = false }: { readonly stopsAtArgument?: boolean } = {},
): Parsed {
  const walk = new Walk(specs, words);
  walk.run(stopsAtArgument);
  const options = new Options(walk.values, specs);
  return { options, positional: walk.positional, wantsHelp: walk.wantsHelp };
}
