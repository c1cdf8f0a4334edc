// Logins that a real registry believes and does not: with passwords, with tokens, with neither.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { makeAuthority, startRegistry, startTokenServer } from "../../../test/support/registry.ts";
import {
  callWith,
  type RegistryBench,
  registryBench,
} from "../../../test/support/registry-bench.ts";
import { toEngineError } from "../../core/errors.ts";
import type { RegistryAuth } from "../../core/plugin.ts";
import { registryNamed } from "./addresses.ts";
import { registryDeadlines } from "./limits.ts";

const someone = { username: "someone", password: "pass-word" };
const stranger = { ...someone, password: "another-word" };

let bench: RegistryBench;
beforeEach(() => {
  bench = registryBench({ deadlines: registryDeadlines });
});
afterEach(() => bench[Symbol.dispose]());

/** undefined: it is believed. */
async function refused(host: string, auth?: RegistryAuth): Promise<string | undefined> {
  const run = bench.images.login(host, callWith(auth), testOperation());
  return await run.then(
    () => undefined,
    (error: unknown) => `${toEngineError(error).code}: ${toEngineError(error).message}`,
  );
}

whenPossible(["docker-registry", "htpasswd"], "with passwords", async () => {
  await using registry = await startRegistry({ passwords: someone });
  const { host } = registry;
  expect(await refused(host, someone)).toBeUndefined();
  expect(await refused(host, stranger)).toBe(
    `registry.denied: login attempt to http://${host}/v2/ failed with status: 401 Unauthorized`,
  );
  expect(await refused(host)).toStartWith("registry.denied: ");
});

whenPossible(["docker-registry"], "where nobody has to, all are believed", async () => {
  await using registry = await startRegistry();
  expect(await refused(registry.host, stranger)).toBeUndefined();
  expect(await refused("127.0.0.1:1", stranger)).toStartWith("registry.unreachable: ");
});

whenPossible(
  ["docker-registry", "openssl"],
  "with tokens, which are asked for nothing",
  async () => {
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, { ...someone, identityToken: "it" });
    await using registry = await startRegistry({ tokens });
    expect(await refused(registry.host, someone)).toBeUndefined();
    expect(tokens.questions[0]).toMatchObject({ method: "GET", scopes: [] });
    const said = await refused(registry.host, stranger);
    expect(said).toStartWith("registry.denied: login attempt to ");
    expect(said).not.toContain(stranger.password);
    expect(await refused(registry.host, { identityToken: "it" })).toBeUndefined();
  },
);

test("a registry may be named as docker login does", () => {
  const names = ["", "https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"];
  for (const name of names) expect(registryNamed(name)).toBe("docker.io");
  expect(registryNamed("http://127.0.0.1:5000/v1/")).toBe("127.0.0.1:5000");
  expect(registryNamed("[::1]:5000")).toBe("[::1]:5000");
  for (const name of ["a b", "u:p@host", "host:port", "host?x", "https://h\n"]) {
    expect(() => registryNamed(name)).toThrow("unable to parse server address");
  }
});
