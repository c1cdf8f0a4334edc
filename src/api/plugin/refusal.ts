// Errors as the text that a container engine shows behind its own words, in one line.
import type { ErrorCode } from "../../core/error-table.ts";
import type { EngineError } from "../../core/errors.ts";
import { goQuote } from "../../core/names.ts";
import { shortened, withKnownOptions } from "./create-options.ts";

/** Codes whose message on this face says the way out, or whose way out is of another face. */
const saysEverything: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "request.invalid",
  "volume.option_invalid",
  "volume.exists_differently",
  "driver.not_found",
]);

/** What dockerd puts in front of the text by itself. */
const dockersOwnWords = /^(?:create|remove) [a-zA-Z0-9_.-]+: /;

/** dockerd says this too, but not when it copies at a create, and with a path of its own. */
const mountingWords = /^error while mounting volume '([^']*)': /;

/**
 * dockerd shows `create wiki: ` and then this text as it is (recorded with `Err` and status 200;
 * with another status it would put `VolumeDriver.Create: ` between). The message, then the way out
 * where there is one. `report`: the id that a bug is found by in the log.
 */
export function refusalText(error: EngineError, report: string): string {
  if (error.code === "volume.not_found") return oneLine("no such volume", error.recovery);
  if (error.code === "volume.name_invalid") {
    const name = goQuote(shortened(String(error.details["name"] ?? "")));
    return oneLine(`invalid volume name ${name}`, error.recovery);
  }
  const { code, kind, message, recovery } = withKnownOptions(error);
  const words = message.replace(dockersOwnWords, "").replace(mountingWords, "$1: ");
  if (kind === "internal") return oneLine(`${words} (report id ${report})`, recovery);
  return oneLine(words, saysEverything.has(code) ? "" : recovery);
}

function oneLine(message: string, recovery: string): string {
  const line = message.replaceAll(/\s*[\r\n]+\s*/g, "; ").replace(/[\s.;]+$/, "");
  return recovery === "" ? line : `${line}. ${recovery}`;
}
