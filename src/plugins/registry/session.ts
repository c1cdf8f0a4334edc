// One call's conversation with one repository at one address: TLS or not, logging in, redirects,
// second attempts.
import { setTimeout as wait } from "node:timers/promises";
import { EngineError } from "../../core/errors.ts";
import type { Log, Operation } from "../../core/operation.ts";
import type { RegistryCall } from "../../core/plugin.ts";
import type { SecretValue } from "../../core/secret-store.ts";
import {
  isLoopback,
  mayBePlain,
  type RegistryAddress,
  type RegistrySettings,
} from "./addresses.ts";
import { Authorizer, type TokenRequest } from "./authorization.ts";
import { type TlsTrust, trustFor } from "./certificates.ts";
import { type Answer, type Exchange, exchange, type FileBody, type Method } from "./exchange.ts";
import { failureReason, isPassing, isSilence, passingStatuses, printable } from "./failures.ts";
import {
  ATTEMPT_COUNT_MAX,
  REDIRECT_COUNT_MAX,
  RETRY_AFTER_MS_MAX,
  type RegistryDeadlines,
} from "./limits.ts";
import { refusal } from "./read-answer.ts";
import { textOf } from "./secret.ts";

export interface SessionParts {
  readonly address: RegistryAddress;
  /** undefined: the registry itself, to log in. */
  readonly repository: SessionRepository | undefined;
  readonly call: RegistryCall;
  readonly settings: RegistrySettings;
  readonly deadlines: RegistryDeadlines;
  readonly log: Log;
}

/** What is going to be done with which repository. */
export interface SessionRepository {
  /** `vieux/sshfs` */
  readonly path: string;
  /** `pull`, or `pull,push`. */
  readonly actions: string;
}

export interface SessionRequest {
  readonly method: Method;
  /**
   * Below `/v2/<path>/`, or below `/v2/` where there is no repository; or an address that the
   * registry gave.
   */
  readonly to: string | URL;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Uint8Array | FileBody;
  /** Statuses that are an answer; everything else is thrown. */
  readonly expected: readonly number[];
}

/** Without a version: it is nobody's business there. */
const USER_AGENT = "holdfast";

const redirects = new Set([301, 302, 303, 307, 308]);

const metaName = /^x-meta-[a-z0-9-]+$/i;
const metaValue = /^[\t\x20-\x7e]*$/;

export class RepositorySession {
  readonly #parts: SessionParts;
  readonly #authorizer: Authorizer;
  readonly #trusts = new Map<string, TlsTrust>();
  /** What of the address's bases understood us. */
  #base: string | undefined;
  #search: Promise<Answer> | undefined;
  /** Of the request in progress: requests of one session have the same operation. */
  #signal = new AbortController().signal;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { repository, address, call, deadlines } = parts;
    this.#authorizer = new Authorizer({
      auth: address.isMirror ? undefined : call.auth,
      scope:
        repository === undefined
          ? undefined
          : `repository(plugin):${repository.path}:${repository.actions}`,
      isAllowed: (realm) => this.#isAllowed(realm),
      ask: (request) => this.#askForToken(request),
      answerMs: deadlines.answerMs,
    });
  }

  get isMirror(): boolean {
    return this.#parts.address.isMirror;
  }

  /** Whether it had to be spoken to without TLS, as far as is known. */
  get isPlain(): boolean {
    return this.#base?.startsWith("http:") ?? false;
  }

  /** See `Authorizer.identity`. */
  get identity(): SecretValue | undefined {
    return this.#authorizer.identity;
  }

  /**
   * Resolves with an answer whose body is still to be read, or closed. Requests without a file are
   * tried again when the server is busy or the connection was cut, but not when nothing came: that
   * has taken its time already, and somebody waits. Throws `registry.*`,
   * `config.invalid` for certificates that cannot be read, `storage.*` for a file.
   */
  async send(request: SessionRequest, operation: Operation): Promise<Answer> {
    this.#signal = operation.signal;
    const attempts = isFile(request.body) ? 1 : ATTEMPT_COUNT_MAX;
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#attempt(request).catch((error: unknown) => {
        if (attempt < attempts && isPassing(error) && !isSilence(error)) return undefined;
        throw error;
      });
      if (outcome !== undefined && request.expected.includes(outcome.status)) return outcome;
      const isLater = outcome === undefined || passingStatuses.has(outcome.status);
      if (outcome !== undefined && !(isLater && attempt < attempts)) {
        throw await this.#refusal(outcome);
      }
      outcome?.close();
      await this.pause(attempt, outcome?.header("retry-after"));
    }
  }

  /** Before attempt `attempt + 1`. Throws what the operation's signal says. */
  async pause(attempt: number, retryAfter?: string): Promise<void> {
    const own = this.#parts.deadlines.retryPauseMs * 2 ** (attempt - 1);
    const asked = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) * 1000 : 0;
    const pauseMs = Math.min(Math.max(own, asked), RETRY_AFTER_MS_MAX);
    await wait(pauseMs, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#signal.throwIfAborted();
  }

  #refusal(answer: Answer): Promise<EngineError> {
    const { answerMs } = this.#parts.deadlines;
    return refusal(answer, { hide: (text) => this.#authorizer.hide(text), answerMs });
  }

  async #attempt(request: SessionRequest): Promise<Answer> {
    const answer = await this.#reach(request);
    if (answer.status !== 401 || !this.#isOurs(answer.url)) return answer;
    const challenge = answer.header("www-authenticate");
    if (!(await this.#authorizer.satisfy(challenge))) return answer;
    answer.close();
    return this.#follow(request);
  }

  /** The first request finds out which base of the address understands us; others wait for it. */
  async #reach(request: SessionRequest): Promise<Answer> {
    while (this.#search !== undefined) await this.#search.catch(() => undefined);
    if (this.#base !== undefined) return this.#follow(request);
    const search = this.#find(request);
    this.#search = search;
    try {
      return await search;
    } finally {
      this.#search = undefined;
    }
  }

  async #find(request: SessionRequest): Promise<Answer> {
    let first: unknown;
    for (const base of this.#parts.address.bases) {
      this.#base = base;
      try {
        return await this.#follow(request);
      } catch (error) {
        this.#base = undefined;
        const reason = failureReason(error);
        const { host } = this.#parts.address;
        this.#parts.log.debug("a registry does not answer", { host, base, reason });
        if (reason !== "no-tls" && reason !== "refused") throw error;
        // Nobody there at all is told as such; that it knows no TLS is no news once HTTP was tried.
        if (first === undefined || failureReason(first) === "no-tls") first = error;
      }
    }
    throw first;
  }

  async #follow(request: SessionRequest): Promise<Answer> {
    const { method } = request;
    let url = this.#urlOf(request.to);
    for (let count = 0; ; count += 1) {
      const answer = await this.#exchange(request, url);
      const location = answer.header("location");
      if (!redirects.has(answer.status) || location === undefined) return answer;
      answer.close();
      const isRead = method === "GET" || method === "HEAD";
      if (!isRead && answer.status !== 307 && answer.status !== 308) return answer;
      if (count === REDIRECT_COUNT_MAX) throw this.#misled(url, "stopped after 5 redirects");
      url = this.resolve(location, url);
    }
  }

  /**
   * An address that the registry gave, as it may be asked. Throws `registry.failed` for one that
   * leads from TLS to none, or into this machine from outside of it.
   */
  resolve(location: string, from: URL): URL {
    const url = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
    if (url === undefined) throw this.#misled(from, "it redirects to what is no address");
    // Behind a proxy that speaks TLS for it a registry may not know that it does.
    if (url.protocol === "http:" && from.protocol === "https:" && url.hostname === from.hostname) {
      return new URL(url.href.replace(/^http:/, "https:"));
    }
    if (this.#isAllowed(url)) return url;
    throw this.#misled(from, `it redirects to ${url.origin}, which is not to be trusted`);
  }

  /** Where the registry may send us, with or without what we know of passwords. */
  #isAllowed(url: URL): boolean {
    if (url.username !== "" || url.password !== "") return false;
    const { settings, address } = this.#parts;
    const origin = new URL(this.#base ?? address.bases[0] ?? "https://invalid");
    // This machine has services that trust whoever is on it.
    if (isLoopback(url.hostname) && !isLoopback(origin.hostname)) return false;
    if (url.protocol === "https:") return true;
    const isOwn = mayBePlain(origin.host, settings) || origin.protocol === "http:";
    return url.protocol === "http:" && isOwn && mayBePlain(url.host, settings);
  }

  #misled(url: URL, text: string): EngineError {
    return new EngineError("registry.failed", `Get "${printable(url)}": ${text}`, {
      details: { host: url.host },
    });
  }

  #urlOf(to: string | URL): URL {
    if (to instanceof URL) return to;
    const { repository } = this.#parts;
    const folder = repository === undefined ? "" : `${repository.path}/`;
    return new URL(`${this.#base ?? ""}/v2/${folder}${to}`);
  }

  /** Whether what we know of passwords is meant for it. */
  #isOurs(url: URL): boolean {
    return this.#base !== undefined && url.origin === new URL(this.#base).origin;
  }

  #exchange(request: SessionRequest, url: URL): Promise<Answer> {
    const { call } = this.#parts;
    const isOurs = this.#isOurs(url);
    const authorization = isOurs ? this.#authorizer.header : undefined;
    const meta = isOurs && !this.isMirror ? call.metaHeaders.filter(isSendable) : [];
    const given = Object.entries(request.headers ?? {}).map(([name, value]) => [
      name,
      typeof value === "string" ? value : [...value],
    ]);
    const headers = { ...Object.fromEntries(meta), ...Object.fromEntries(given) };
    return this.#ask({ method: request.method, url, headers, authorization, body: request.body });
  }

  /** One request to anywhere, with what all of ours have. */
  #ask({ method, url, headers, authorization, body }: OwnRequest): Promise<Answer> {
    return exchange({
      method,
      url,
      headers: {
        "user-agent": USER_AGENT,
        "accept-encoding": "identity",
        ...headers,
        ...(authorization === undefined ? {} : { authorization: textOf(authorization) }),
      },
      body,
      trust: this.#trust(url),
      deadlines: this.#parts.deadlines,
      signal: this.#signal,
    });
  }

  async #askForToken(request: TokenRequest): Promise<Answer> {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const headers = request.body === undefined ? {} : form;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#ask({ ...request, headers });
      if (attempt === ATTEMPT_COUNT_MAX || !passingStatuses.has(answer.status)) return answer;
      answer.close();
      await this.pause(attempt, answer.header("retry-after"));
    }
  }

  #trust({ host }: URL): TlsTrust {
    const known = this.#trusts.get(host);
    if (known !== undefined) return known;
    const trust = trustFor(host, this.#parts.settings);
    this.#trusts.set(host, trust);
    return trust;
  }
}

interface OwnRequest extends Pick<Exchange, "method" | "url" | "headers" | "body"> {
  readonly authorization: SecretValue | undefined;
}

function isFile(body: Uint8Array | FileBody | undefined): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

function isSendable([name, value]: readonly [string, string]): boolean {
  return metaName.test(name) && metaValue.test(value);
}
