// What the CLI prints, in a form that is the same in each run.
import type { Ended } from "../support/child.ts";
import { recordedRoot } from "./comparable.ts";
import type { Pair } from "./plugin-bindings.ts";

/** How output of today is to be read. Recordings need nothing. */
export interface PrintReading {
  /** The engine's directory. */
  readonly root: string;
  /** Our places, and the recorded ones that they stand for. */
  readonly places: readonly Pair[];
}

/** The CLI prints labels in the random order of a Go map. */
const labelList = /[\w.]+=\w*(?:,[\w.]+=\w*)+/g;

/** Times, the root and generated names set aside; labels and names of a prune in one order. */
export function printed(ended: Ended, line: string, reading?: PrintReading): Ended {
  const isOfPlugins = /\bplugin\b|127\.0\.0\.1/.test(line + ended.stdout);
  const moved = (text: string) => {
    const inPlace = withPlaces(text, reading);
    return isOfPlugins ? withoutIds(inPlace) : inPlace;
  };
  const stdout = withoutSteps(moved(ended.stdout))
    .replaceAll(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"/g, '"<time>"')
    .replace(/^[0-9a-f]{64}\n$/, "<id>\n")
    .replaceAll(labelList, (labels) => labels.split(",").sort().join(","))
    .replace(/(Deleted Volumes:\n)((?:.+\n)*)/, (_, title, names) => title + sortedLines(names));
  return { exit: ended.exit, stdout, stderr: moved(ended.stderr) };
}

function sortedLines(text: string): string {
  return text
    .split("\n")
    .filter(Boolean)
    .sort()
    .map((line) => `${line}\n`)
    .join("");
}

function withPlaces(text: string, reading: PrintReading | undefined): string {
  if (reading === undefined) return text;
  const { root, places } = reading;
  const moved = text.replaceAll(`${root}/volumes`, `${recordedRoot}/volumes`);
  return places.reduce((result, [ours, recorded]) => result.replaceAll(ours, recorded), moved);
}

/** Of plugins. The width of a column depends on the port of the registry. */
function withoutIds(text: string): string {
  return text
    .replaceAll(/\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b/g, "<id>")
    .replaceAll(/(?<=\S) {3,}/g, "   ");
}

/** What is told of layers: each thing once, in one order, without what only slow ones tell. */
function withoutSteps(text: string): string {
  return text.replaceAll(/(?:^<id>: [A-Z][a-z ]+\n)+/gm, (steps) => {
    const told = new Set(steps.split("\n").filter((line) => line !== "" && !onItsWay.test(line)));
    return [...told]
      .sort()
      .map((line) => `${line}\n`)
      .join("");
  });
}

const onItsWay = /: (?:Download complete|Downloading|Pulling fs layer|Uploading)$/;
