// `volume inspect --format TEMPLATE`.
import { CliFailure } from "./failure.ts";
import { execute, listWords, parseFormat } from "./format.ts";
import type { ApiVolume } from "./volume.ts";
import { volumeStruct } from "./volume-template.ts";

/** Docker ends with 64 when the template of an inspect cannot be parsed. */
const inspectWords = { ...listWords, parseExit: 64 };

interface Rendered {
  readonly text: string;
  readonly failures: readonly CliFailure[];
}

/** Parses at once, before the daemon is asked for anything; the result renders what was found. */
export function parseInspectFormat(format: string): (volumes: readonly ApiVolume[]) => Rendered {
  const template = parseFormat(format, inspectWords);
  return (volumes) => {
    const failures: CliFailure[] = [];
    let text = "";
    for (const volume of volumes) {
      try {
        text += `${execute(template, volumeStruct(volume), inspectWords)}\n`;
      } catch (error) {
        if (!(error instanceof CliFailure)) throw error;
        failures.push(error);
      }
    }
    return { text: text === "" ? "\n" : text, failures };
  };
}
