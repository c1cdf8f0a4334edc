// What the options of a Create mean: a driver, labels, and options of the engine and the driver.
import { driverCalled } from "../../core/driver-words.ts";
import { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import type { Labels, VolumeEntry } from "../../core/state-store.ts";
import { didYouMean } from "../../core/suggest.ts";
import type { Drivers } from "../../engine/drivers.ts";
import { engineOptionNames } from "../../engine/engine-options.ts";
import type { CreateRequest } from "../../engine/volumes.ts";

/** What `-o driver=` chooses when it is not given. */
const DEFAULT_DRIVER = "local";

/** Options that are this face's own, because its protocol has no other place for them. */
const faceOptionNames = ["driver", "labels"] as const;

/** Whose options are known whatever the driver, sorted. */
const everywhere: readonly string[] = [...engineOptionNames, ...faceOptionNames];

/**
 * The create that `docker volume create -d holdfast -o …` means; its driver has the name that it
 * has in rows. Throws `driver.not_found` and
 * `volume.option_invalid`; options of the engine and the driver are theirs to check.
 */
export function createRequest(
  name: string,
  options: Readonly<Record<string, string>>,
  drivers: Pick<Drivers, "canonical" | "names">,
): CreateRequest & { readonly driver: string } {
  const own: readonly string[] = faceOptionNames;
  const rest = Object.entries(options).filter(([option]) => !own.includes(option));
  const given = options["driver"] ?? DEFAULT_DRIVER;
  const driver = drivers.canonical(given);
  if (driver === undefined) {
    const names = drivers.names();
    const called = driverCalled(given, names);
    const meant = called === undefined ? didYouMean(given, names) : ` did you mean ${called}?`;
    throw new EngineError(
      "driver.not_found",
      `unknown driver ${goQuote(shortened(given))}:${meant} known are ${names.join(", ")}`,
      { details: { driver: given } },
    );
  }
  return {
    name,
    driver,
    labels: parseLabels(options["labels"] ?? ""),
    options: rest.length > 0 ? Object.fromEntries(rest) : null,
  };
}

/** A driver's refusal of an option it does not know, with all that are known; else the error. */
export function withKnownOptions(error: EngineError): EngineError {
  const { option, known } = error.details;
  if (error.code !== "volume.option_invalid" || !Array.isArray(known)) return error;
  const all = [...known.map(String), ...everywhere].toSorted();
  const typed = String(option);
  const meant = didYouMean(typed, all);
  return new EngineError(
    "volume.option_invalid",
    `unknown option ${goQuote(shortened(typed))}:${meant} known are ${all.join(", ")}`,
    { cause: error, details: { option, known: all } },
  );
}

/**
 * Throws `volume.exists_differently` naming the first difference. Values stay out of the text: they
 * may be passwords.
 */
export function refuseDifferent(entry: VolumeEntry, wanted: CreateRequest): void {
  const { name, driver } = entry;
  if (driver !== wanted.driver) {
    throw different(name, `with the driver ${driver}, not ${wanted.driver}`, "driver");
  }
  const option = firstDifference(entry.options, wanted.options);
  if (option !== undefined) {
    const manner = mannerOf(option, entry.options, wanted.options);
    throw different(name, `${manner} the option ${goQuote(shortened(option))}`, option);
  }
  const label = firstDifference(entry.labels, wanted.labels);
  if (label !== undefined) {
    const manner = mannerOf(label, entry.labels, wanted.labels);
    throw different(name, `${manner} the label ${goQuote(shortened(label))}`, "labels");
  }
}

/** Names from outside may have any length; a message has one line. */
export function shortened(text: string): string {
  const characters = [...text.slice(0, TEXT_LENGTH_MAX * 2)];
  if (characters.length <= TEXT_LENGTH_MAX) return text;
  return `${characters.slice(0, TEXT_LENGTH_MAX).join("")}…`;
}

/** Longest part of a message that comes from outside, in characters. */
const TEXT_LENGTH_MAX = 80;

function parseLabels(text: string): Labels | null {
  if (text.trim() === "") return null;
  const labels = text.split(",").map((part): readonly [string, string] => {
    const item = part.trim();
    const equals = item.indexOf("=");
    const key = equals < 0 ? item : item.slice(0, equals);
    if (key === "") {
      throw new EngineError(
        "volume.option_invalid",
        `option labels: ${goQuote(shortened(text))}: key=value or key is needed, several of them ` +
          "separated by commas, so that no value can hold a comma",
        { details: { option: "labels" } },
      );
    }
    return [key, equals < 0 ? "" : item.slice(equals + 1)];
  });
  return Object.fromEntries(labels);
}

type Texts = Readonly<Record<string, string>> | null;

function firstDifference(left: Texts, right: Texts): string | undefined {
  const keys = new Set([...Object.keys(left ?? {}), ...Object.keys(right ?? {})]);
  return [...keys].toSorted().find((key) => own(left, key) !== own(right, key));
}

function mannerOf(key: string, there: Texts, wanted: Texts): string {
  if (own(there, key) === undefined) return "without";
  return own(wanted, key) === undefined ? "with" : "with another value of";
}

function own(texts: Texts, key: string): string | undefined {
  return texts !== null && Object.hasOwn(texts, key) ? texts[key] : undefined;
}

function different(name: string, how: string, option: string): EngineError {
  return new EngineError(
    "volume.exists_differently",
    `volume ${name} exists already, ${how}: use another name, or remove it first`,
    { details: { option } },
  );
}
