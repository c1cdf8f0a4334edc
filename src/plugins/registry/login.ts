// Docker's `login`: asks a registry whether it takes somebody's name and password. Nothing is kept.
import { EngineError } from "../../core/errors.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { RegistryCall } from "../../core/plugin.ts";
import { tryParsePluginReference } from "../../core/plugin-reference.ts";
import { originalOf, type RegistrySettings } from "./addresses.ts";
import type { Answer } from "./exchange.ts";
import { printable } from "./failures.ts";
import type { RegistryDeadlines } from "./limits.ts";
import { RepositorySession } from "./session.ts";

export interface LoginParts {
  readonly settings: RegistrySettings;
  readonly deadlines: RegistryDeadlines;
  readonly log: Log;
}

const HUB = "docker.io";
/** What clients call Docker Hub. */
const hubNames: readonly string[] = ["", HUB, "index.docker.io", "registry-1.docker.io"];

/**
 * Resolves when the registry takes what `call` says, or wants nothing of anybody. `server` is a
 * host or an address, as clients give it. Throws `registry.denied` with Docker's text,
 * `registry.unreachable`, `registry.failed`, and `plugin.reference_invalid` for what is no host.
 */
export async function logIn(
  { server, call }: { readonly server: string; readonly call: RegistryCall },
  { settings, deadlines, log }: LoginParts,
  operation: Operation,
): Promise<void> {
  if (call.auth === undefined) {
    const text = "no basic auth credentials: a username with its password, or a token, is needed";
    throw new EngineError("registry.denied", text);
  }
  const address = originalOf(hostOf(server), settings);
  const parts = { address, call, settings, deadlines, log };
  const session = new RepositorySession({ ...parts, path: "", actions: "" });
  let answer: Answer;
  try {
    answer = await session.send({ method: "GET", to: "", expected: [200, 401, 403] }, operation);
  } catch (error) {
    operation.signal.throwIfAborted();
    // The server of tokens has refused.
    if (!(error instanceof EngineError) || error.code !== "registry.denied") throw error;
    const base = address.bases.at(session.isPlain ? -1 : 0);
    const text = `Get "${base}/v2/": unauthorized: incorrect username or password`;
    throw new EngineError("registry.denied", text, { cause: error, details: error.details });
  }
  answer.close();
  const { status, url } = answer;
  if (status === 200) return;
  const text = `login attempt to ${printable(url)} failed with status: ${statusText(status)}`;
  throw new EngineError("registry.denied", text, { details: { status, host: url.host } });
}

function statusText(status: number): string {
  return status === 401 ? "401 Unauthorized" : "403 Forbidden";
}

/** The host as it stands in references. */
function hostOf(server: string): string {
  const [host = ""] = server
    .trim()
    .replace(/^https?:\/\//, "")
    .split("/");
  if (hubNames.includes(host)) return HUB;
  if (tryParsePluginReference(`${host}/x`)?.host === host) return host;
  const shown = JSON.stringify(server.slice(0, 255));
  const text = `unable to parse server address: ${shown} is not HOST[:PORT] of a registry`;
  throw new EngineError("plugin.reference_invalid", text);
}
