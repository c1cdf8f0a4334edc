// Docker's `login` with real registries: passwords, tokens, nobody there, no host at all.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { makeAuthority, startRegistry, startTokenServer } from "../../../test/support/registry.ts";
import {
  callWith,
  type RegistryBench,
  registryBench,
} from "../../../test/support/registry-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { RegistryAuth } from "../../core/plugin.ts";

const someone = { username: "someone", password: "pass:wörd" };
const wrong = { ...someone, password: "hunter2" };
/** The tests' token server knows no letters beyond ASCII. */
const plain = { ...someone, password: "plain-word" };

let bench: RegistryBench;

beforeEach(() => {
  bench = registryBench();
});

afterEach(() => bench[Symbol.dispose]());

/** "in", or code and text of the refusal. */
async function login(server: string, auth?: RegistryAuth): Promise<unknown> {
  try {
    await bench.images.login(server, callWith(auth), testOperation());
    return "in";
  } catch (error) {
    if (error instanceof EngineError) return [error.code, error.message];
    throw error;
  }
}

whenPossible(["docker-registry", "htpasswd"], "a password is taken or refused", async () => {
  await using registry = await startRegistry({ passwords: someone });
  const { host } = registry;
  for (const server of [host, `http://${host}`, `https://${host}/v1/`]) {
    expect(await login(server, someone)).toBe("in");
  }
  // Docker's text.
  const text = `login attempt to http://${host}/v2/ failed with status: 401 Unauthorized`;
  expect(await login(host, wrong)).toEqual(["registry.denied", text]);
});

whenPossible(["docker-registry"], "a registry that wants nothing takes everybody", async () => {
  await using registry = await startRegistry();
  expect(await login(registry.host, wrong)).toBe("in");
});

whenPossible(
  ["docker-registry", "openssl"],
  "a token server is asked without a scope",
  async () => {
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, { ...plain, identityToken: "" });
    await using registry = await startRegistry({ tokens });
    expect(await login(registry.host, plain)).toBe("in");
    expect(tokens.questions[0]).toMatchObject({ scopes: [] });
    const refused = await login(registry.host, wrong);
    expect(refused).toEqual([
      "registry.denied",
      `Get "http://${registry.host}/v2/": unauthorized: incorrect username or password`,
    ]);
  },
);

test("nobody is asked for what says nothing, and of what is no registry", async () => {
  expect(await login("127.0.0.1:1", undefined)).toEqual([
    "registry.denied",
    "no basic auth credentials: a username with its password, or a token, is needed",
  ]);
  expect(await login("bad host", someone)).toEqual([
    "plugin.reference_invalid",
    'unable to parse server address: "bad host" is not HOST[:PORT] of a registry',
  ]);
  expect(await login("127.0.0.1:1", someone)).toEqual([
    "registry.unreachable",
    'failed to do request: Get "https://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: ' +
      "connection refused",
  ]);
});
