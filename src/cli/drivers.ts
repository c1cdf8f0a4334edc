// `holdfast drivers`: what volumes can be made with, and the options of one driver.
import { driverCalled } from "../core/driver-words.ts";
import { didYouMean } from "../core/suggest.ts";
import type { DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { ownPath } from "./own-client.ts";

interface OwnOption {
  readonly name: string;
  readonly value: string;
  readonly help: string;
  readonly isRequired: boolean;
  readonly default: string | null;
  readonly rule: string | null;
}

/** A driver as Holdfast's own API describes it (src/api/holdfast/drivers.ts). */
export interface OwnDriver {
  readonly name: string;
  readonly kind: "built in" | "plugin";
  readonly summary: string;
  /** null: only the plugin knows. */
  readonly options: readonly OwnOption[] | null;
}

/** STYLE.md, section 6. */
const NOT_FOUND_EXIT = 3;

export async function listDrivers({ client, ...invocation }: Invocation): Promise<number> {
  const { options, positional, terminal } = invocation;
  const drivers = await readDrivers(client);
  const [name] = positional;
  const shown = name === undefined ? drivers : drivers.filter((each) => each.name === name);
  if (options.flag("json")) {
    await terminal.out(shown.map((driver) => `${JSON.stringify(driver)}\n`).join(""));
  } else if (name === undefined) {
    const rows = drivers.map(({ name: word, kind, summary }) => [word, kind, summary]);
    await terminal.out(table([["DRIVER", "KIND", "WHAT IT IS"], ...rows]));
  } else {
    await terminal.out(shown.map(renderOptions).join(""));
  }
  if (name === undefined || shown.length > 0) return 0;
  const known = drivers.map((each) => each.name);
  const called = driverCalled(name, known);
  const meant = called === undefined ? didYouMean(name, known) : ` did you mean ${called}?`;
  throw new CliFailure(
    `there is no driver "${name}":${meant} known are ${known.join(", ")}`,
    NOT_FOUND_EXIT,
  );
}

function renderOptions({ name, kind, summary, options }: OwnDriver): string {
  if (options === null) return `${name}: a plugin; it alone knows its options\n`;
  const rows = options.map((option) => {
    const { help, isRequired, default: standard, rule } = option;
    const notes = [
      ...(isRequired ? ["required"] : []),
      ...(rule === null ? [] : [rule]),
      ...(standard === null ? [] : [`by default ${standard}`]),
    ];
    const note = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
    return [`  ${option.name}=${option.value}`, `${help}${note}`];
  });
  return `${name}: ${kind}. ${summary}.\n\nOptions, for -o:\n${table(rows)}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   "))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

async function readDrivers(client: DaemonClient): Promise<readonly OwnDriver[]> {
  const path = ownPath(["drivers"]);
  return (await client.json<{ drivers: readonly OwnDriver[] }>({ method: "GET", path })).drivers;
}

/** For completion; none where the daemon is not ours. */
export async function knownDrivers(client: DaemonClient): Promise<readonly OwnDriver[]> {
  try {
    return await readDrivers(client);
  } catch (error) {
    if (error instanceof DaemonRefusal) return [];
    throw error;
  }
}
