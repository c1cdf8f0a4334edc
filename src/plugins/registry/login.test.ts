// Logging in at real registries: who is accepted, what is said to who is not, what is never said.
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { makeAuthority, startRegistry, startTokenServer } from "../../../test/support/registry.ts";
import { type RegistryBench, registryBench } from "../../../test/support/registry-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { RegistryAuth } from "../../core/plugin.ts";
import { registryDeadlines } from "./limits.ts";

const right = { username: "someone", password: "a-right-password" };
const wrong = { username: "someone", password: "a-wrong-password" };
const bare = { ...right, identityToken: "an-identity-token" };

async function logIn(bench: RegistryBench, server: string, auth?: RegistryAuth) {
  return (await bench.images.login({ server, auth }, testOperation())).identityToken;
}

/** As `code: message`. */
async function refusal(bench: RegistryBench, server: string, auth?: RegistryAuth): Promise<string> {
  const error = await logIn(bench, server, auth).catch((thrown: unknown) => thrown);
  if (!(error instanceof EngineError)) throw new Error(`not refused: ${String(error)}`);
  for (const secret of [wrong.password, btoa(`${wrong.username}:${wrong.password}`)]) {
    expect(JSON.stringify([error.message, error.details])).not.toContain(secret);
  }
  return `${error.code}: ${error.message}`;
}

const bench = () => registryBench({ deadlines: registryDeadlines });

whenPossible(["docker-registry", "htpasswd"], "passwords, in Docker's words", async () => {
  using at = bench();
  await using registry = await startRegistry({ passwords: right });
  const { host } = registry;
  for (const server of [host, `http://${host}`, `https://${host}/v1/`, `x:y@${host}`]) {
    expect([server, await logIn(at, server, right)]).toEqual([server, ""]);
  }
  const place = `http://${host}/v2/`;
  expect(await refusal(at, host, wrong)).toBe(
    `registry.denied: login attempt to ${place} failed with status: 401 Unauthorized`,
  );
  for (const none of [undefined, { registryToken: "abc" }, { identityToken: "abc" }]) {
    expect(await refusal(at, host, none)).toBe(
      `registry.denied: Get "${place}": no basic auth credentials`,
    );
  }
  expect(registry.log()).not.toContain(right.password);
});

whenPossible(["docker-registry"], "a registry that asks nobody accepts everybody", async () => {
  using at = bench();
  await using registry = await startRegistry();
  expect(await logIn(at, registry.host, wrong)).toBe("");
  expect(await logIn(at, registry.host)).toBe("");
  expect(await logIn(at, registry.host, { identityToken: "kept" })).toBe("kept");
});

const withTls = ["docker-registry", "htpasswd", "openssl"] as const;

whenPossible(withTls, "a registry with TLS must be who it should be", async () => {
  using at = bench();
  using authority = await makeAuthority();
  using other = await makeAuthority();
  await using registry = await startRegistry({ passwords: right, tls: { authority } });
  const { host } = registry;
  const folder = join(at.settings.certificates, host);
  mkdirSync(folder, { recursive: true });
  copyFileSync(authority.certificate, join(folder, "ca.crt"));
  expect(await logIn(at, host, right)).toBe("");
  expect(await refusal(at, host, wrong)).toBe(
    `registry.denied: login attempt to https://${host}/v2/ failed with status: ` +
      "401 Unauthorized",
  );
  copyFileSync(other.certificate, join(folder, "ca.crt"));
  const before = registry.log().length;
  expect(await refusal(at, host, wrong)).toBe(
    `registry.unreachable: Get "https://${host}/v2/": x509: certificate signed by unknown ` +
      "authority",
  );
  expect(registry.log().slice(before)).not.toContain("GET /v2/");
});

describe("tokens", () => {
  const needed = ["docker-registry", "openssl"] as const;

  whenPossible(needed, "are asked for no repository, in Docker's words", async () => {
    using at = bench();
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, bare);
    await using registry = await startRegistry({ tokens });
    const { host } = registry;
    expect(await logIn(at, host, right)).toBe("");
    expect(tokens.questions[0]).toMatchObject({ method: "GET", scopes: [], grantType: null });
    // Its server says what it was sent: that is not handed on.
    expect(await refusal(at, host, wrong)).toBe(
      `registry.denied: Get "http://${host}/v2/": unauthorized: no, Basic ****`,
    );
    expect(await refusal(at, host)).toStartWith(
      `registry.denied: Get "http://${host}/v2/": unauthorized: no,`,
    );
  });

  whenPossible(needed, "of the lasting kind go in place of the password", async () => {
    using at = bench();
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, { ...bare, lasts: true });
    await using registry = await startRegistry({ tokens });
    const { identityToken } = bare;
    expect(await logIn(at, registry.host, right)).toBe(identityToken);
    const { username } = right;
    expect(await logIn(at, registry.host, { username, identityToken })).toBe(identityToken);
    expect(tokens.questions.at(-1)?.grantType).toBe("refresh_token");
    const denied = await refusal(at, registry.host, { username, identityToken: "another" });
    expect(denied).toStartWith("registry.denied: ");
  });
});

test("what is no address, or nobody's, is said", async () => {
  using at = bench();
  for (const server of ["a b/c", "https://", "u:secret@", "r.io:port", "[::1", "ftp://r.io"]) {
    const said = await refusal(at, server, wrong);
    expect([server, said]).toEqual([server, expect.stringMatching(/^request.invalid: unable to/)]);
    expect(said).not.toContain("secret");
  }
  expect(await refusal(at, "", { registryToken: "abc" })).toBe(
    "request.invalid: a login needs a server address or credentials",
  );
  expect(await refusal(at, "127.0.0.1:1", wrong)).toContain(
    '127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  );
});
