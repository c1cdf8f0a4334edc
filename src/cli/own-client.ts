// Asking Holdfast's own routes for one of Holdfast's own commands: refusals end by their kind.
import type { ApiRequest, DaemonClient } from "./client.ts";
import type { Invocation } from "./command.ts";
import { exitOfKind, ownFailure } from "./exit-codes.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { SeveralFailures } from "./several-failures.ts";

const prefix = "/holdfast/v1/";

/**
 * The path below the prefix, of segments and a query that are encoded here. Throws where a segment
 * is empty: the daemon would see another route, or none.
 */
export function ownPath(segments: readonly string[], query: Readonly<Record<string, string>> = {}) {
  for (const segment of segments) refuseEmpty(segment);
  const path = segments.map(encodeURIComponent).join("/");
  const pairs = Object.entries(query).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  return `${prefix}${path}${pairs.length > 0 ? `?${pairs.join("&")}` : ""}`;
}

/** `DaemonClient.json`, with the exit codes of Holdfast's own nouns. */
export async function ask<T>(client: DaemonClient, request: ApiRequest): Promise<T> {
  try {
    return await client.json<T>(request);
  } catch (error) {
    throw asOwn(error);
  }
}

/** `DaemonClient.send`, for what has no answer. */
export async function tell(client: DaemonClient, request: ApiRequest): Promise<void> {
  try {
    await client.send(request);
  } catch (error) {
    throw asOwn(error);
  }
}

/** What has a name. */
export interface Named {
  readonly name: string;
}

/** Waits for what changed, and prints its name, or all of it with --json. */
export async function printName(
  { options, terminal }: Pick<Invocation, "options" | "terminal">,
  asking: Promise<Named>,
): Promise<number> {
  const found = await asking;
  await terminal.out(`${options.flag("json") ? JSON.stringify(found) : found.name}\n`);
  return 0;
}

/** Does what can be done, one after the other; all failures at the end. */
export async function forEach(
  names: readonly string[],
  work: (name: string) => Promise<void>,
): Promise<void> {
  const failures: CliFailure[] = [];
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      failures.push(error);
      if (error instanceof DaemonUnreachable) break;
    }
  }
  const [failure] = failures;
  if (failure !== undefined) throw failures.length === 1 ? failure : new SeveralFailures(failures);
}

/** What a variable of a script that was never set makes of a name. */
export function refuseEmpty(name: string): void {
  if (name === "") throw badWords("a name or an id is needed, and this one is empty");
}

/** A command line that cannot be obeyed, whatever the daemon says. */
export function badWords(message: string): CliFailure {
  return new CliFailure(message, exitOfKind.invalid);
}

export function asOwn(error: unknown): unknown {
  return error instanceof CliFailure ? ownFailure(error) : error;
}
