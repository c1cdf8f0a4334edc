// Logging in at one registry, for one call: basic authentication, and tokens of a token server.
//
// What is kept here goes to this registry and the token server that it names, and nowhere else. It
// is gone with the call.
import { EngineError } from "../../core/errors.ts";
import type { RegistryAuth } from "../../core/plugin.ts";
import type { SecretValue } from "../../core/secret-store.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Answer } from "./exchange.ts";
import { TOKEN_ANSWER_BYTES_MAX } from "./limits.ts";
import { member, parseJson, readWhole, refusal } from "./read-answer.ts";
import { secretOf, textOf, withoutSecrets } from "./secret.ts";

/** A request to a token server, which may not lead elsewhere. */
export interface TokenRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly authorization: SecretValue | undefined;
  /** A form. */
  readonly body: Uint8Array | undefined;
}

export interface AuthorizerParts {
  readonly auth: RegistryAuth | undefined;
  /** What is going to be done: `repository(plugin):vieux/sshfs:pull`; undefined: a login alone. */
  readonly scope: string | undefined;
  /** Whether a realm may be asked, by where it is. */
  readonly isAllowed: (realm: URL) => boolean;
  readonly ask: (request: TokenRequest) => Promise<Answer>;
  readonly answerMs: number;
}

/** As Docker's own names itself there. */
const CLIENT_ID = "docker";

/** What may stand in a header. */
const tokenPattern = /^[\x21-\x7e]+$/;

export class Authorizer {
  readonly #parts: AuthorizerParts;
  readonly #user: string | undefined;
  readonly #password: SecretValue | undefined;
  #identity: SecretValue | undefined;
  #header: SecretValue | undefined;
  #pending: Promise<boolean> | undefined;

  constructor(parts: AuthorizerParts) {
    this.#parts = parts;
    const { username, password, identityToken, registryToken } = parts.auth ?? {};
    this.#user = isGiven(username) ? username : undefined;
    this.#password = isGiven(password) ? secretOf(password) : undefined;
    this.#identity = isGiven(identityToken) ? secretOf(identityToken) : undefined;
    if (isGiven(registryToken) && tokenPattern.test(registryToken)) {
      this.#header = secretOf(`Bearer ${registryToken}`);
    }
  }

  /** For the registry itself. */
  get header(): SecretValue | undefined {
    return this.#header;
  }

  /** What a token server gave, or was given, in place of a password. */
  get identity(): SecretValue | undefined {
    return this.#identity;
  }

  /** A text of the registry without what we told it. */
  hide(text: string): string {
    // A password may come back as it was sent, too.
    const sent = [this.#header, this.#basic()].map((header) => header && textOf(header));
    const bare = sent.filter((one) => one !== undefined).map((one) => one.replace(/^\w+ /, ""));
    const all = [this.#password, this.#identity, ...bare.map((one) => secretOf(one))];
    return withoutSecrets(
      text,
      all.filter((one) => one !== undefined),
    );
  }

  /**
   * Answers a 401. Resolves with false when there is nothing that could be said. Throws
   * `registry.denied` and whatever else the token server makes of it.
   */
  satisfy(header: string | undefined): Promise<boolean> {
    // Layers that are asked for at the same time need one token, not three.
    this.#pending ??= this.#satisfy(header).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #satisfy(header: string | undefined): Promise<boolean> {
    const challenges = parseChallenges(header ?? "");
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    if (bearer !== undefined) {
      if (isGiven(this.#parts.auth?.registryToken)) return false;
      this.#header = secretOf(`Bearer ${textOf(await this.#fetchToken(bearer))}`);
      return true;
    }
    const basic = this.#basic();
    const isWanted = challenges.some(({ scheme }) => scheme === "basic");
    if (!isWanted || basic === undefined) return false;
    if (this.#header && textOf(basic) === textOf(this.#header)) return false;
    this.#header = basic;
    return true;
  }

  #basic(): SecretValue | undefined {
    if (this.#user === undefined || this.#password === undefined) return undefined;
    const pair = Buffer.from(`${this.#user}:${textOf(this.#password)}`, "utf8");
    return secretOf(`Basic ${pair.toString("base64")}`);
  }

  async #fetchToken(challenge: Challenge): Promise<SecretValue> {
    const realm = this.#realmOf(challenge);
    const service = challenge.parameters.get("service");
    const asked = (challenge.parameters.get("scope") ?? "").split(" ").filter((one) => one !== "");
    const { scope } = this.#parts;
    const scopes = [...new Set(scope === undefined ? asked : [...asked, scope])].toSorted();
    const answer =
      this.#identity === undefined
        ? await this.#byGet(realm, service, scopes)
        : await this.#byIdentity(realm, { service, scopes, identity: this.#identity });
    const { answerMs } = this.#parts;
    if (answer.status !== 200) {
      throw await refusal(answer, { hide: (text) => this.hide(text), answerMs });
    }
    const bytes = await readWhole(answer, { bytesMax: TOKEN_ANSWER_BYTES_MAX, answerMs });
    const parsed = parseJson(bytes);
    const identity = member(parsed, "refresh_token");
    if (scope === undefined && isGiven(identity)) this.#identity = secretOf(identity);
    return tokenOf(answer.url, parsed);
  }

  #byGet(realm: URL, service: string | undefined, scopes: readonly string[]): Promise<Answer> {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    if (this.#user !== undefined) url.searchParams.set("account", this.#user);
    if (this.#parts.scope === undefined) {
      url.searchParams.set("offline_token", "true");
      url.searchParams.set("client_id", CLIENT_ID);
    }
    const authorization = this.#basic();
    return this.#parts.ask({ method: "GET", url, authorization, body: undefined });
  }

  /** OAuth 2 with the identity token as the refresh token. */
  #byIdentity(realm: URL, grant: IdentityGrant): Promise<Answer> {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      client_id: CLIENT_ID,
      ...(grant.scopes.length === 0 ? {} : { scope: grant.scopes.join(" ") }),
      refresh_token: textOf(grant.identity),
      ...(grant.service === undefined ? {} : { service: grant.service }),
    });
    const body = Buffer.from(form.toString(), "utf8");
    return this.#parts.ask({ method: "POST", url: realm, authorization: undefined, body });
  }

  #realmOf({ parameters }: Challenge): URL {
    const text = parameters.get("realm") ?? "";
    const realm = URL.canParse(text) ? new URL(text) : undefined;
    if (realm !== undefined && this.#parts.isAllowed(realm)) return realm;
    throw new EngineError(
      "registry.failed",
      "the registry wants tokens from an address that passwords are not sent to",
      { details: { realm: realm?.origin ?? "" } },
    );
  }
}

interface IdentityGrant {
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly identity: SecretValue;
}

function tokenOf(url: URL, parsed: unknown): SecretValue {
  const token = [member(parsed, "token"), member(parsed, "access_token")].find(isGiven);
  if (token !== undefined && tokenPattern.test(token)) return secretOf(token);
  throw new EngineError("registry.failed", `the token server ${url.host} gives no token`);
}

function isGiven(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
