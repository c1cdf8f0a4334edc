// `docker login`: whether a registry accepts a user, in Docker's words.
import { STATUS_CODES } from "node:http";
import { EngineError } from "../../core/errors.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { LoginRequest, RegistryAuth, RegistryLogin } from "../../core/plugin.ts";
import { isRegistryHost } from "../../core/plugin-reference.ts";
import { originalOf, type RegistrySettings } from "./addresses.ts";
import type { Answer } from "./exchange.ts";
import { printable } from "./failures.ts";
import type { RegistryDeadlines } from "./limits.ts";
import { textOf } from "./secret.ts";
import { RepositorySession } from "./session.ts";

const HUB = "docker.io";
/** Under the first of these clients keep their logins of Docker Hub. */
const hubNames: ReadonlySet<string> = new Set(["index.docker.io", HUB]);

const REQUESTING = "failed to do request: ";

export interface LoginParts {
  readonly settings: RegistrySettings;
  readonly deadlines: RegistryDeadlines;
  readonly log: Log;
}

/** See `ManagedPlugins.login`. A mirror is never asked: it has nobody's credentials. */
export async function logIn(
  { settings, deadlines, log }: LoginParts,
  { server, auth }: LoginRequest,
  operation: Operation,
): Promise<RegistryLogin> {
  if (server === "" && !isGiven(auth?.username) && !isGiven(auth?.identityToken)) {
    throw new EngineError("request.invalid", "a login needs a server address or credentials");
  }
  const address = originalOf(hostOf(server), settings);
  const call = { auth: withoutRegistryToken(auth), metaHeaders: [] };
  const session = new RepositorySession({
    ...{ address, repository: undefined, call, settings, deadlines, log },
  });
  const request = { method: "GET", to: "", expected: [200, 401, 403, 404] } as const;
  let answer: Answer;
  try {
    answer = await session.send(request, operation);
  } catch (error) {
    const wanted = session.isPlain ? "http:" : "https:";
    throw asDocker(error, address.bases.find((base) => base.startsWith(wanted)) ?? "");
  }
  const { status, url } = answer;
  const challenge = answer.header("www-authenticate") ?? "";
  answer.close();
  if (status === 200) return { identityToken: session.identity ? textOf(session.identity) : "" };
  if (status === 404) throw new EngineError("registry.failed", failed(status, url));
  const isNameless = !isGiven(auth?.username) || !isGiven(auth?.password);
  const text =
    isNameless && /^\s*basic/i.test(challenge)
      ? `Get "${printable(url)}": no basic auth credentials`
      : failed(status, url);
  throw new EngineError("registry.denied", text, { details: { status, host: url.host } });
}

function failed(status: number, url: URL): string {
  const text = STATUS_CODES[status] ?? "";
  return `login attempt to ${printable(url)} failed with status: ${status} ${text}`.trimEnd();
}

/** A token server's refusal, and a registry that does not answer. */
function asDocker(error: unknown, base: string): unknown {
  if (!(error instanceof EngineError)) return error;
  const { code, message, details } = error;
  if (code === "registry.denied") {
    const said = typeof details["words"] === "string" ? details["words"] : "";
    const isWhole = said.startsWith("unauthorized") || said.startsWith("denied");
    const words = said === "" ? "authentication required" : said;
    const text = `Get "${base}/v2/": ${isWhole ? words : `unauthorized: ${words}`}`;
    return new EngineError("registry.denied", text, { cause: error, details });
  }
  if (!message.startsWith(REQUESTING)) return error;
  return new EngineError(code, message.slice(REQUESTING.length), { cause: error, details });
}

/** The registry of `HOST[:PORT]` or of a URL; what comes behind it is not looked at. */
function hostOf(server: string): string {
  const bare = server.replace(/^https?:\/\//i, "");
  const authority = /^[^/?#]*/.exec(bare)?.[0] ?? "";
  // A user there is none of ours, and may be followed by a password.
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  if (server === "" || hubNames.has(host.toLowerCase())) return HUB;
  if (isRegistryHost(host)) return host;
  throw new EngineError(
    "request.invalid",
    "unable to parse server address: it is neither HOST[:PORT] nor an http or https URL",
  );
}

/** It stands for one repository, and is no login. */
function withoutRegistryToken(auth: RegistryAuth | undefined): RegistryAuth | undefined {
  if (auth === undefined) return undefined;
  const { registryToken: _one, ...login } = auth;
  return login;
}

function isGiven(text: string | undefined): boolean {
  return text !== undefined && text !== "";
}
