// The options that all kinds of remote storage share, and the reading of options by their rules.
import type { DriverOptions } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import { goQuote } from "../core/names.ts";
import { didYouMean } from "../core/suggest.ts";
import type { OptionRule, RemoteKind } from "./kind.ts";

/** Longest value of an option in characters. */
const VALUE_LENGTH_MAX = 4096;

const secretHint =
  "keep it with `holdfast secret create NAME`, and give `-o secret=NAME`: options are shown to " +
  "everybody who may look at the volume";

/** What the options of all kinds say. */
export interface CommonOptions {
  /** Its name; undefined: none. */
  readonly secret: string | undefined;
  /** See `RemoteMount`. */
  readonly subpath: string;
  readonly isTested: boolean;
  readonly isReadOnly: boolean;
}

/** Options that keep their rules. */
export interface ReadOptions<Options> {
  readonly own: Options;
  readonly common: CommonOptions;
}

/** A rule for options that take one of a few words. */
export function oneOf(...words: readonly string[]): OptionRule["rule"] {
  return { words: `one of ${words.join(", ")}`, accepts: (value) => words.includes(value) };
}

/** A rule for a port number. */
export const portRule: NonNullable<OptionRule["rule"]> = {
  words: "a port from 1 to 65535",
  accepts: (value) => /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535,
};

/** What every kind takes besides its own. */
export const commonOptions: readonly OptionRule[] = [
  {
    name: "secret",
    value: "NAME",
    help: "The secret that logs in at the server, from `holdfast secret create`",
    rule: {
      words: "the name of a secret",
      accepts: (value) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/.test(value),
    },
  },
  {
    name: "subpath",
    value: "DIR",
    help: "A directory below, made when it is missing; without it the volume is all that is there",
    rule: {
      words: "a relative path without empty, `.` or `..` segments",
      accepts: isPlainSubpath,
    },
  },
  {
    name: "read-only",
    value: "true|false",
    help: "Whether the storage is never written to",
    defaultValue: "false",
    rule: oneOf("true", "false"),
  },
  {
    name: "test",
    value: "on|off",
    help: "Whether create and update mount it for a moment, to see that it can be used",
    defaultValue: "on",
    rule: oneOf("on", "off"),
  },
];

function isPlainSubpath(value: string): boolean {
  const segments = value.split("/");
  return segments.every((each) => each !== "" && each !== "." && each !== ".." && fits(each));
}

/** The mark beside it has a longer name. */
function fits(segment: string): boolean {
  return Buffer.byteLength(segment) <= 200;
}

/** Names of options that would be passwords. `secret` itself is the name of one. */
const secretNames = /pass(?:word|wd|phrase)?$|^pw$|credential|token|secret|(?:^|[-_])key$/i;

/** Values that carry one: `password=…` in raw words, `//user:pass@host`. */
const secretValues: readonly RegExp[] = [
  /(?:^|[\s,;&?])[\w-]*(?:pass(?:word|wd|phrase)?|secret|token|(?:access|account)[_-]key)\s*[=:]/i,
  /\/\/[^/\s]*:[^/\s]*@/,
  /^[^/\s:@]+:[^/\s@]+@/,
];

/**
 * Reads a volume's options by the rules of its kind. Throws `volume.option_invalid` naming the
 * option, with `details.known`; no message has the value of what looks like a password. Pure.
 */
export function readOptions<Options>(
  kind: RemoteKind<Options>,
  options: DriverOptions,
): ReadOptions<Options> {
  const rules = [...kind.rules, ...commonOptions];
  const known = rules.map(({ name }) => name);
  for (const [name, value] of Object.entries(options)) {
    const rule = rules.find((each) => each.name === name) ?? kind.openRule?.(name);
    refuseSecrets(name, value, rule !== undefined);
    if (rule === undefined) throw unknown(name, known);
    checkValue(rule, value);
  }
  for (const { name, value, isRequired, help } of rules) {
    if (isRequired === true && options[name] === undefined) {
      const message = `missing required option: ${goQuote(name)} (${name}=${value}: ${help})`;
      throw optionInvalid(name, message, { known });
    }
  }
  return { own: kind.parse(options), common: readCommon(options) };
}

/**
 * As `readOptions`, of a volume that is there: what was allowed once may not be any more, and what
 * is mounted must still end. Nothing is to be mounted with what this returns. Throws what
 * `RemoteKind.parse` does.
 */
export function readStoredOptions<Options>(
  kind: RemoteKind<Options>,
  options: DriverOptions,
): ReadOptions<Options> {
  return { own: kind.parse(options), common: readCommon(options) };
}

function readCommon(options: DriverOptions): CommonOptions {
  return {
    secret: options["secret"],
    subpath: options["subpath"] ?? "",
    isTested: options["test"] !== "off",
    isReadOnly: options["read-only"] === "true",
  };
}

function refuseSecrets(name: string, value: string, isKnown: boolean): void {
  // What a rule names is no secret by its name: the author of the kind has seen to that.
  const isSecret = !isKnown && secretNames.test(name);
  if (!isSecret && !secretValues.some((each) => each.test(value))) return;
  const what = isSecret ? "is" : "carries";
  throw optionInvalid(
    name,
    `invalid option: ${goQuote(name)} ${what} a password or key: ${secretHint}`,
  );
}

function unknown(name: string, known: readonly string[]): EngineError {
  const meant = didYouMean(name, known);
  const all = known.join(", ");
  const message = `invalid option: ${goQuote(name)}:${meant} the options are ${all}`;
  return optionInvalid(name, message, { known });
}

function checkValue({ name, rule }: OptionRule, value: string): void {
  const refuse = (words: string): EngineError =>
    optionInvalid(name, `invalid option: ${goQuote(name)}: ${goQuote(value)} is not ${words}`);
  if (value === "" || value.length > VALUE_LENGTH_MAX || hasControl(value)) {
    throw refuse(`one line of 1 to ${VALUE_LENGTH_MAX} characters`);
  }
  if (rule !== undefined && !rule.accepts(value)) throw refuse(rule.words);
}

function hasControl(value: string): boolean {
  return [...value].some((each) => (each.codePointAt(0) ?? 0) < 0x20 || each === "\x7f");
}

/** The refusal of an option, for kinds to throw, too. */
export function optionInvalid(
  option: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): EngineError {
  return new EngineError("volume.option_invalid", message, { details: { option, ...details } });
}
