// A real registry on loopback (Debian's docker-registry): plain, with passwords, with TLS, and with
// a token server of the test's own. Disposing of it ends it and removes its folder.
import type { ChildProcess } from "node:child_process";
import { createPrivateKey, sign, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { eventually, hasEnded, runToEnd, startChild, stopChild } from "./child.ts";

const startTimeoutMs = 30_000;
const commandTimeoutMs = 30_000;

export interface RegistryOptions {
  /** Basic authentication with bcrypt. */
  readonly passwords?: { readonly username: string; readonly password: string };
  /** With a certificate of `authority`, for 127.0.0.1 and localhost unless `names` says others. */
  readonly tls?: {
    readonly authority: TestAuthority;
    readonly names?: string;
    /** Clients must have a certificate of the authority. */
    readonly wantsClient?: boolean;
  };
  readonly tokens?: TokenServer;
}

export interface RunningRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as it stands in references. */
  readonly host: string;
  readonly folder: string;
  /** What it has logged so far, with a line for each request. */
  log(): string;
}

/** In a folder of its own on tmpfs. Needs "docker-registry", and what the options need. */
export async function startRegistry(options: RegistryOptions = {}): Promise<RunningRegistry> {
  const folder = mkdtempSync("/dev/shm/holdfast-registry-");
  let child: ChildProcess | undefined;
  try {
    const config = join(folder, "config.json");
    // YAML is a superset of JSON.
    writeFileSync(config, JSON.stringify(await configOf(options, folder)));
    child = startChild("docker-registry", ["serve", config]);
    let log = "";
    child.stdout?.on("data", (chunk: Buffer) => (log += chunk.toString("utf8")));
    child.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString("utf8")));
    const started = child;
    const port = await eventually(
      () => {
        if (hasEnded(started)) throw new Error(`docker-registry ended: ${log.slice(-2000)}`);
        return /listening on 127\.0\.0\.1:(\d+)/.exec(log)?.[1];
      },
      { timeoutMs: startTimeoutMs, otherwise: () => `docker-registry does not listen: ${log}` },
    );
    return {
      host: `127.0.0.1:${port}`,
      folder,
      log: () => log,
      [Symbol.asyncDispose]: async () => {
        await stopChild(started);
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    if (child !== undefined) await stopChild(child);
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function configOf(options: RegistryOptions, folder: string): Promise<object> {
  const { passwords, tls, tokens } = options;
  const data = join(folder, "data");
  mkdirSync(data);
  let auth: object = {};
  if (passwords !== undefined) {
    const file = join(folder, "htpasswd");
    const { username, password } = passwords;
    await command("htpasswd", ["-Bbc", file, username, password]);
    auth = { auth: { htpasswd: { realm: "test", path: file } } };
  }
  if (tokens !== undefined) {
    const { realm, service, issuer, certificate: rootcertbundle } = tokens;
    auth = { auth: { token: { realm, service, issuer, rootcertbundle } } };
  }
  let secure: object = {};
  if (tls !== undefined) {
    const pair = await tls.authority.issue("registry", tls.names);
    const clients = tls.wantsClient === true ? { clientcas: [tls.authority.certificate] } : {};
    secure = { tls: { certificate: pair.certificate, key: pair.key, ...clients } };
  }
  return {
    version: "0.1",
    log: { level: "info" },
    storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
    http: { addr: "127.0.0.1:0", secret: "a test", ...secure },
    ...auth,
  };
}

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority that nobody else knows. */
export interface TestAuthority extends Disposable {
  /** The path of its own certificate. */
  readonly certificate: string;
  /** A pair signed by it; `names` as openssl's subjectAltName. */
  issue(name: string, names?: string): Promise<KeyPair>;
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Needs "openssl". */
export async function makeAuthority(): Promise<TestAuthority> {
  const folder = mkdtempSync("/dev/shm/holdfast-authority-");
  const certificate = join(folder, "ca.crt");
  const key = join(folder, "ca.key");
  const subject = ["-subj", "/CN=holdfast test authority"];
  const made = ["-keyout", key, "-out", certificate, "-days", "2"];
  await command("openssl", ["req", "-x509", ...curve, ...made, ...subject]);
  return {
    certificate,
    issue: async (name, names = "IP:127.0.0.1,DNS:localhost") => {
      const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
      const pair = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      const asked = ["-keyout", pair.key, "-out", request, "-subj", `/CN=${name}`];
      await command("openssl", ["req", ...curve, ...asked]);
      const signed = ["-CA", certificate, "-CAkey", key, "-CAcreateserial", "-days", "2"];
      const files = ["-in", request, "-out", pair.certificate, "-extfile", extensions];
      await command("openssl", ["x509", "-req", ...files, ...signed]);
      return pair;
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What a token server was asked. */
export interface TokenQuestion {
  readonly method: string;
  readonly scopes: readonly string[];
  readonly authorization: string | undefined;
  /** Of the form, where one was posted. */
  readonly grantType: string | null;
}

/** Gives tokens that the registry believes to whoever knows the password. */
export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly certificate: string;
  readonly questions: readonly TokenQuestion[];
  /** A token for anything in this repository, as an administrator would make one. */
  tokenFor(path: string): string;
}

/**
 * `identityToken` is believed as a refresh token. `lasts`: it is given to whoever logs in, too, as
 * by registries that want passwords to be kept by nobody.
 */
export async function startTokenServer(
  authority: TestAuthority,
  known: {
    readonly username: string;
    readonly password: string;
    readonly identityToken: string;
    readonly lasts?: boolean;
  },
): Promise<TokenServer> {
  const pair = await authority.issue("tokens");
  const names = { service: "test registry", issuer: "test tokens" };
  const questions: TokenQuestion[] = [];
  const make = (scopes: readonly string[]) => makeToken(pair, names, scopes);
  const wanted = `Basic ${btoa(`${known.username}:${known.password}`)}`;
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const form = new URLSearchParams(await text(request));
    const scopes = [...url.searchParams.getAll("scope"), ...(form.get("scope") ?? "").split(" ")];
    const { method = "", headers } = request;
    const { authorization } = headers;
    const grantType = form.get("grant_type");
    questions.push({ method, scopes: scopes.filter(Boolean), authorization, grantType });
    const isKnown =
      method === "POST"
        ? form.get("refresh_token") === known.identityToken
        : authorization === wanted;
    response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
    const refused = { errors: [{ code: "UNAUTHORIZED", message: `no, ${authorization ?? ""}` }] };
    const lasting = url.searchParams.get("offline_token") === "true";
    const given = {
      access_token: make(scopes),
      ...(lasting && known.lasts === true ? { refresh_token: known.identityToken } : {}),
    };
    response.end(JSON.stringify(isKnown ? given : refused));
  };
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    realm: `http://127.0.0.1:${port}/token`,
    ...names,
    certificate: authority.certificate,
    questions,
    tokenFor: (path) => make([`repository:${path}:pull,push`]),
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A JSON Web Token as the registry's documentation has it, good for an hour. */
function makeToken(
  pair: KeyPair,
  { service, issuer }: { readonly service: string; readonly issuer: string },
  scopes: readonly string[],
): string {
  const access = scopes.filter(Boolean).map((scope) => {
    const [, type, , name, actions = ""] = /^(\w+)(\(\w+\))?:([^:]+):([\w,*]+)$/.exec(scope) ?? [];
    return { type, name, actions: actions.split(",") };
  });
  const der = new X509Certificate(readFileSync(pair.certificate)).raw.toString("base64");
  const seconds = Math.floor(Date.now() / 1000);
  const header = { typ: "JWT", alg: "ES256", x5c: [der] };
  const times = { nbf: seconds - 60, iat: seconds, exp: seconds + 3600 };
  const claims = {
    iss: issuer,
    aud: service,
    sub: "",
    jti: String(Math.random()),
    ...times,
    access,
  };
  const signed = [header, claims].map(encode).join(".");
  const key = { key: createPrivateKey(readFileSync(pair.key)), dsaEncoding: "ieee-p1363" } as const;
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

async function command(program: string, parameters: readonly string[]): Promise<void> {
  const ended = await runToEnd(program, parameters, { timeoutMs: commandTimeoutMs });
  if (ended.exit !== 0) throw new Error(`${program} ended with ${ended.exit}: ${ended.stderr}`);
}
