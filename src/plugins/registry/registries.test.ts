// Pulls and pushes with a real registry: plain, with passwords, with TLS, with tokens.
import { afterEach, beforeEach, describe, expect } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import {
  makeAuthority,
  startRegistry,
  startTokenServer,
  type TestAuthority,
} from "../../../test/support/registry.ts";
import {
  callWith,
  type RegistryBench,
  registryBench,
} from "../../../test/support/registry-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { RegistryAuth } from "../../core/plugin.ts";
import { parsePluginReference } from "../../core/plugin-reference.ts";
import { registryDeadlines } from "./limits.ts";
import { DOCKER_MANIFEST_TYPE, writeManifest } from "./manifest.ts";

const someone = { username: "someone", password: "pass:wörd" };
const identityToken = "an identity token";

let bench: RegistryBench;

beforeEach(() => {
  bench = registryBench({ deadlines: registryDeadlines });
});

afterEach(() => bench[Symbol.dispose]());

/** Pushes a plugin, and pulls it into another store. */
async function thereAndBack(host: string, auth?: RegistryAuth): Promise<void> {
  const reference = parsePluginReference(`${host}/some/plug:v1`);
  const image = await bench.stored(300_000);
  const call = callWith(auth);
  const { images, settings, tell } = bench;
  const pushed = await images.push(reference, image, call, tell, testOperation());
  // Once more: all is there.
  await images.push(reference, image, call, tell, testOperation());
  using other = registryBench({ ...settings, deadlines: registryDeadlines });
  const found = await other.images.resolve(reference, call, testOperation());
  expect(found.manifestDigest).toBe(pushed.digest);
  expect(found.manifest).toEqual(image.manifest);
  const files = await other.images.download(found, call, other.tell, testOperation());
  const [{ path } = { path: "" }] = files;
  expect(readFileSync(path)).toEqual(readFileSync(bench.store.path(image.layerDigest)));
}

async function refused(host: string, auth?: RegistryAuth): Promise<EngineError> {
  const reference = parsePluginReference(`${host}/some/plug:v1`);
  const run = bench.images.resolve(reference, callWith(auth), testOperation());
  const error = await run.catch((thrown: unknown) => thrown);
  if (error instanceof EngineError) return error;
  throw new Error(`not refused: ${String(error)}`);
}

/** Puts files into the directory of certificates for this host. */
function trust(host: string, files: Readonly<Record<string, string>>): void {
  const folder = join(bench.settings.certificates, host);
  mkdirSync(folder, { recursive: true });
  for (const [name, source] of Object.entries(files)) copyFileSync(source, join(folder, name));
}

describe("a plain registry on this machine", () => {
  whenPossible(["docker-registry"], "takes a plugin and gives it back", async () => {
    await using registry = await startRegistry();
    await thereAndBack(registry.host);
  });

  whenPossible(["docker-registry"], "says that a tag is not there", async () => {
    await using registry = await startRegistry();
    const { code, message } = await refused(registry.host);
    expect(code).toBe("registry.not_found");
    expect(message).toBe(
      `error resolving plugin reference: ${registry.host}/some/plug:v1: not found`,
    );
  });
});

/** What a pull or a push may take beside what the process has, whatever its size. */
const memoryBytesMax = 100 * 1024 * 1024;

describe("a large plugin", () => {
  const size = 300 * 1024 * 1024;

  whenPossible(["docker-registry"], "takes no memory, there and back", async () => {
    await using registry = await startRegistry();
    const reference = parsePluginReference(`${registry.host}/some/plug:v1`);
    const { images, store, tell, folder } = bench;
    writeFileSync(join(folder, "large"), "");
    truncateSync(join(folder, "large"), size);
    const layer = await store.adopt(join(folder, "large"));
    const config = Buffer.from("{}");
    const configDigest = await store.put(config);
    const manifest = writeManifest({ digest: configDigest, size: 2 }, [layer]);
    const image = { manifest, mediaType: DOCKER_MANIFEST_TYPE, configDigest, layers: [layer] };
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    let most = 0;
    const look = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss() - before);
    }, 5);
    try {
      await images.push(reference, image, callWith(), tell, testOperation());
      store.collect(new Set());
      const found = await images.resolve(reference, callWith(), testOperation());
      await images.download(found, callWith(), tell, testOperation());
    } finally {
      clearInterval(look);
    }
    expect(store.size(layer.digest)).toBe(size);
    expect(most).toBeLessThan(memoryBytesMax);
  });
});

describe("passwords", () => {
  whenPossible(["docker-registry", "htpasswd"], "the right one is needed", async () => {
    await using registry = await startRegistry({ passwords: someone });
    await thereAndBack(registry.host, someone);
    for (const auth of [undefined, { ...someone, password: "another word" }]) {
      const { code, message } = await refused(registry.host, auth);
      expect({ code, message }).toMatchObject({ code: "registry.denied" });
      expect(message).not.toContain("another word");
    }
    expect(registry.log()).not.toContain(someone.password);
  });
});

describe("TLS", () => {
  const needed = ["docker-registry", "openssl"] as const;
  let authority: TestAuthority;

  beforeEach(async () => {
    authority = await makeAuthority();
  });

  afterEach(() => authority[Symbol.dispose]());

  whenPossible(needed, "an authority of the directory is believed", async () => {
    await using registry = await startRegistry({ tls: { authority } });
    trust(registry.host, { "ca.crt": authority.certificate });
    await thereAndBack(registry.host);
  });

  whenPossible(needed, "another one is not, and nothing is sent without TLS then", async () => {
    using other = await makeAuthority();
    await using registry = await startRegistry({ tls: { authority } });
    trust(registry.host, { "ca.crt": other.certificate });
    const { code, message } = await refused(registry.host, someone);
    expect(code).toBe("registry.unreachable");
    expect(message).toEndWith("x509: certificate signed by unknown authority");
    expect(registry.log()).not.toContain("/v2/");
  });

  whenPossible(needed, "a certificate for another name is not", async () => {
    await using registry = await startRegistry({ tls: { authority, names: "DNS:elsewhere" } });
    trust(registry.host, { "ca.crt": authority.certificate });
    const { message } = await refused(registry.host);
    expect(message).toEndWith("x509: certificate is not valid for 127.0.0.1");
  });

  whenPossible(needed, "this machine needs no proof without an authority for it", async () => {
    await using registry = await startRegistry({ tls: { authority } });
    await thereAndBack(registry.host);
  });

  whenPossible(needed, "an insecure one needs none, whatever is in the directory", async () => {
    using other = await makeAuthority();
    await using registry = await startRegistry({ tls: { authority } });
    bench[Symbol.dispose]();
    bench = registryBench({ insecure: [registry.host], deadlines: registryDeadlines });
    trust(registry.host, { "ca.crt": other.certificate });
    await thereAndBack(registry.host);
  });

  whenPossible(needed, "a client's certificate is shown where there is one", async () => {
    await using registry = await startRegistry({ tls: { authority, wantsClient: true } });
    const { certificate, key } = await authority.issue("client");
    trust(registry.host, { "ca.crt": authority.certificate });
    const stranger = await refused(registry.host);
    expect(stranger.code).toBe("registry.unreachable");
    expect(stranger.message).toMatch(
      /remote error: tls: (?:bad certificate|certificate required)$/,
    );
    trust(registry.host, { "client.cert": certificate });
    const { code, message } = await refused(registry.host);
    expect({ code, message }).toMatchObject({ code: "config.invalid" });
    expect(message).toContain("missing key client.key for client certificate client.cert");
    trust(registry.host, { "client.key": key });
    await thereAndBack(registry.host);
  });
});

describe("tokens", () => {
  const needed = ["docker-registry", "openssl"] as const;
  const user = { ...someone, password: "plain-word" };
  const known = { ...user, identityToken };

  whenPossible(needed, "are asked for with a password, with Docker's scope", async () => {
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, known);
    await using registry = await startRegistry({ tokens });
    await thereAndBack(registry.host, user);
    expect(tokens.questions[0]).toMatchObject({
      method: "GET",
      scopes: ["repository(plugin):some/plug:pull,push", "repository:some/plug:pull"],
      authorization: `Basic ${btoa("someone:plain-word")}`,
    });
    // One for each call, and one more where the registry wants a right beyond what was asked for.
    expect(tokens.questions.length).toBeLessThanOrEqual(6);
  });

  whenPossible(needed, "are asked for with an identity token", async () => {
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, known);
    await using registry = await startRegistry({ tokens });
    await thereAndBack(registry.host, { identityToken });
    const [first] = tokens.questions;
    expect(first).toMatchObject({ method: "POST", grantType: "refresh_token" });
    expect(first?.authorization).toBeUndefined();
  });

  whenPossible(needed, "that are given are used as they are", async () => {
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, known);
    await using registry = await startRegistry({ tokens });
    await thereAndBack(registry.host, { registryToken: tokens.tokenFor("some/plug") });
    expect(tokens.questions).toEqual([]);
    const { code } = await refused(registry.host, { registryToken: tokens.tokenFor("another") });
    expect(code).toBe("registry.denied");
  });

  whenPossible(needed, "are not given to a stranger, whose password is not repeated", async () => {
    using authority = await makeAuthority();
    await using tokens = await startTokenServer(authority, known);
    await using registry = await startRegistry({ tokens });
    const { code, message } = await refused(registry.host, { ...user, password: "guess" });
    expect(code).toBe("registry.denied");
    expect(message).not.toContain("guess");
    expect(message).not.toContain(btoa("someone:guess"));
  });
});
