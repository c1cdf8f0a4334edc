// Pulls and pushes against a registry that works, and then does everything that it should not.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { type FaultRegistry, startFaultRegistry } from "../../../test/support/fault-registry.ts";
import { testOperation } from "../../../test/support/operation.ts";
import {
  callWith,
  type RegistryBench,
  registryBench,
} from "../../../test/support/registry-bench.ts";
import { EngineError, type ErrorCode } from "../../core/errors.ts";
import { parsePluginReference } from "../../core/plugin-reference.ts";
import { digestOf } from "../store/blobs.ts";
import type { ResolvedImage } from "./images.ts";

const MEGABYTE = 1024 * 1024;
const someone = { username: "someone", password: "a secret word" };

let registry: FaultRegistry;
let bench: RegistryBench;

beforeEach(async () => {
  registry = await startFaultRegistry();
  bench = registryBench();
});

afterEach(async () => {
  bench[Symbol.dispose]();
  await registry[Symbol.asyncDispose]();
});

const name = { path: "some/plug", tag: "v1" };
const reference = () => parsePluginReference(`${registry.host}/some/plug:v1`);

function resolve(call = callWith(), signal?: AbortSignal): Promise<ResolvedImage> {
  return bench.images.resolve(reference(), call, testOperation(signal));
}

async function pull(call = callWith(), signal?: AbortSignal): Promise<readonly string[]> {
  const image = await resolve(call);
  const files = await bench.images.download(image, call, bench.tell, testOperation(signal));
  return files.map(({ path }) => path);
}

async function failure(code: ErrorCode, run: Promise<unknown>): Promise<EngineError> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EngineError)) throw new Error(`no EngineError: ${String(error)}`);
  expect({ code: error.code, text: error.message }).toMatchObject({ code });
  expect(bench.partial()).toEqual([]);
  return error;
}

const ranges = () =>
  registry.seen
    .filter(({ path }) => path.includes("/blobs/"))
    .map(({ headers }) => headers.get("range"));

describe("a pull", () => {
  test("brings verified layers, in order, with Docker's lines", async () => {
    const layers = [randomBytes(3000), randomBytes(5000), randomBytes(7000), randomBytes(1)];
    const added = registry.add(name, layers, Buffer.from('{"a":1}'));
    const image = await resolve();
    expect(image.manifestDigest).toBe(added.manifest);
    expect(Buffer.from(image.config).toString()).toBe('{"a":1}');
    const files = await bench.images.download(image, callWith(), bench.tell, testOperation());
    expect(files.map(({ path }) => readFileSync(path))).toEqual(layers);
    expect(bench.partial()).toEqual([]);
    const ids = added.layers.map((digest) => digest.slice(7, 19));
    expect(bench.told.slice(0, 6)).toEqual([
      { status: `Pulling from ${registry.host}/some/plug`, id: "v1" },
      { status: `Digest: ${added.manifest}` },
      ...ids.map((id) => ({ status: "Waiting", id, isOfLayer: true })),
    ]);
    const last = bench.told.slice(6).map(({ status, id }) => `${status} ${id}`);
    expect(last.toSorted()).toEqual(ids.map((id) => `Download complete ${id}`).toSorted());
  });

  test("of what is there already asks for nothing", async () => {
    registry.add(name, [randomBytes(1000)]);
    await pull();
    const before = registry.seen.length;
    bench.told.length = 0;
    await pull();
    expect(registry.seen.slice(before).map(({ path }) => path)).toEqual([
      "/v2/some/plug/manifests/v1",
      expect.stringContaining("/v2/some/plug/blobs/"),
    ]);
    expect(bench.told.at(-1)?.status).toBe("Already exists");
  });

  test("that takes a while has figures, ten times a second at most", async () => {
    registry.add(name, [randomBytes(500)]);
    registry.misbehave(/blobs/, { do: "trickle", everyMs: 1 }, 3);
    const image = await resolve();
    await bench.images.download(image, callWith(), bench.tell, testOperation());
    const layer = bench.told.filter(({ isOfLayer }) => isOfLayer);
    expect(layer.slice(0, 2).map(({ status }) => status)).toEqual(["Waiting", "Pulling fs layer"]);
    const figures = layer.filter(({ status }) => status === "Downloading");
    expect(figures.length).toBeGreaterThan(0);
    expect(figures.length).toBeLessThan(20);
    expect(figures[0]).toMatchObject({ total: 500 });
  });

  test("takes the same layer twice once", async () => {
    const layer = randomBytes(2000);
    registry.add(name, [layer, layer]);
    const files = await pull();
    expect(files).toHaveLength(2);
    expect(registry.seen.filter(({ path }) => path.includes(digestOf(layer)))).toHaveLength(1);
  });
});

describe("a transfer that is cut", () => {
  test("goes on where it was, however often, as long as something moves", async () => {
    const layer = randomBytes(MEGABYTE);
    registry.add(name, [layer]);
    const image = await resolve();
    registry.misbehave(/GET .*blobs/, { do: "cut", afterBytes: 100_000 }, 9);
    const files = await bench.images.download(image, callWith(), bench.tell, testOperation());
    expect(readFileSync(files[0]?.path ?? "")).toEqual(layer);
    expect(ranges().slice(-3)).toEqual(["bytes=700000-", "bytes=800000-", "bytes=900000-"]);
  });

  test("is given up after five times without progress", async () => {
    const { layers } = registry.add(name, [randomBytes(MEGABYTE)]);
    registry.misbehave(/GET .*blobs.*/, { do: "cut", afterBytes: 1000 });
    registry.misbehave(/./, { do: "hang-up" }, 0);
    // The config is short enough to be whole.
    const error = await failure("registry.unreachable", pull());
    expect(error.message).toContain("unexpected EOF");
    expect(registry.seen.filter(({ path }) => path.includes(layers[0] ?? ""))).toHaveLength(5);
  });

  test("begins again where the registry knows no ranges", async () => {
    const layer = randomBytes(MEGABYTE);
    registry.add(name, [layer]);
    const image = await resolve();
    registry.misbehave(/blobs/, { do: "cut", afterBytes: 300_000 }, 1);
    registry.misbehave(/blobs/, { do: "ignore-range" });
    const files = await bench.images.download(image, callWith(), bench.tell, testOperation());
    expect(readFileSync(files[0]?.path ?? "")).toEqual(layer);
  });

  test("goes on after a server that fell silent in the middle", async () => {
    const layer = randomBytes(MEGABYTE);
    registry.add(name, [layer]);
    const image = await resolve();
    registry.misbehave(/blobs/, { do: "stall", afterBytes: 500_000 }, 1);
    const files = await bench.images.download(image, callWith(), bench.tell, testOperation());
    expect(readFileSync(files[0]?.path ?? "")).toEqual(layer);
    expect(ranges().at(-1)).toBe("bytes=500000-");
  });

  test("before its answer is tried again, for a manifest too", async () => {
    registry.add(name, [randomBytes(10)]);
    registry.misbehave(/blobs/, { do: "hang-up" }, 2);
    registry.misbehave(/manifests/, { do: "cut", afterBytes: 20 }, 2);
    expect(await pull()).toHaveLength(1);
  });
});

describe("lies", () => {
  test("another content of the same size", async () => {
    const { layers } = registry.add(name, [randomBytes(1000)]);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "replace", body: randomBytes(1000) });
    const error = await failure("plugin.image_invalid", pull());
    expect(error.message).toContain("unexpected digest sha256:");
    expect(bench.store.has(layers[0] ?? "")).toBe(false);
  });

  test.each([999, 1001])("a layer of %d bytes that should have 1000", async (bytes) => {
    const { layers } = registry.add(name, [randomBytes(1000)]);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "replace", body: randomBytes(bytes) });
    const error = await failure("plugin.image_invalid", pull());
    expect(error.message).toContain(`has ${bytes} bytes, expected 1000`);
  });

  test.each([500, 4000])("a Content-Length of %d for 1000 bytes", async (bytes) => {
    const { layers } = registry.add(name, [randomBytes(1000)]);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "claim", bytes });
    await failure("plugin.image_invalid", pull());
  });

  test("a layer without end", async () => {
    const { layers } = registry.add(name, [randomBytes(1000)]);
    const image = await resolve();
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "flood" });
    const { images, tell } = bench;
    const run = images.download(image, callWith(), tell, testOperation());
    const error = await failure("plugin.image_invalid", run);
    expect(error.message).toContain("more than 1000 bytes");
    expect(registry.sentBytes).toBeLessThan(16 * MEGABYTE);
  });

  test("a manifest without end", async () => {
    registry.add(name, []);
    registry.misbehave(/manifests/, { do: "flood" });
    const error = await failure("registry.failed", resolve());
    expect(error.message).toContain("is longer than 4194304 bytes");
    expect(registry.sentBytes).toBeLessThan(24 * MEGABYTE);
  });

  test("a manifest of 100 MB that says so is not read", async () => {
    registry.add(name, []);
    registry.misbehave(/manifests/, { do: "claim", bytes: 100 * MEGABYTE });
    await failure("registry.failed", resolve());
  });

  test("another manifest than the one named by digest", async () => {
    const { manifest } = registry.add(name, [randomBytes(10)]);
    const other = registry.add({ path: "some/plug", tag: "v2" }, [randomBytes(10)]);
    registry.misbehave(/manifests/, {
      do: "answer",
      status: 200,
      headers: { "content-type": "application/vnd.docker.distribution.manifest.v2+json" },
      body: "{}",
    });
    const wanted = parsePluginReference(`${registry.host}/some/plug@${manifest}`);
    const run = bench.images.resolve(wanted, callWith(), testOperation());
    const error = await failure("plugin.image_invalid", run);
    expect(error.message).toContain(`expected ${manifest}`);
    expect(other.manifest).not.toBe(manifest);
  });

  test("one layer that is wrong ends the others, and leaves nothing half", async () => {
    const good = [randomBytes(MEGABYTE), randomBytes(MEGABYTE)];
    const { layers } = registry.add(name, [...good, randomBytes(1000)]);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "stall", afterBytes: 1000 });
    registry.misbehave(new RegExp(layers[2] ?? ""), { do: "replace", body: randomBytes(1000) });
    await failure("plugin.image_invalid", pull());
  });
});

describe("patience", () => {
  test("ends with a registry that says nothing", async () => {
    registry.misbehave(/manifests/, { do: "silence" });
    const error = await failure("registry.unreachable", resolve());
    expect(error.message).toStartWith(
      "error resolving plugin reference: failed to do request: Get",
    );
    expect(error.message).toEndWith("timeout awaiting response");
  });

  test("ends with a layer that trickles", async () => {
    const { layers } = registry.add(name, [randomBytes(MEGABYTE)]);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "trickle", everyMs: 20 });
    const error = await failure("registry.unreachable", pull());
    expect(error.message).toContain("next to nothing");
  });

  test("ends with a manifest that trickles", async () => {
    registry.add(name, [randomBytes(MEGABYTE)]);
    registry.misbehave(/manifests/, { do: "trickle", everyMs: 50 });
    await failure("registry.unreachable", resolve());
  });

  test("ends with the operation: at once, for its reason, and nothing is left", async () => {
    const { layers } = registry.add(name, [randomBytes(MEGABYTE)]);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "stall", afterBytes: 1000 });
    const stop = new AbortController();
    const run = pull(callWith(), stop.signal);
    const why = new EngineError("operation.cancelled", "enough");
    setTimeout(() => stop.abort(why), 100);
    expect(await failure("operation.cancelled", run)).toBe(why);
  });

  test.each([503, 500, 429])("covers %d twice, with what Retry-After says", async (status) => {
    registry.add(name, [randomBytes(10)]);
    const headers = { "retry-after": "0" };
    registry.misbehave(/manifests/, { do: "answer", status, headers }, 2);
    expect(await pull()).toHaveLength(1);
    registry.misbehave(/manifests/, { do: "answer", status, headers, body: "oops" });
    const error = await failure("registry.failed", resolve());
    expect(error.message).toContain(`unexpected status ${status}`);
  });

  test("does not cover a refusal", async () => {
    const body = '{"errors":[{"code":"DENIED","message":"requested access is denied"}]}';
    registry.misbehave(/manifests/, { do: "answer", status: 403, body });
    const error = await failure("registry.denied", resolve());
    expect(error.message).toContain("denied: requested access is denied");
    expect(registry.seen).toHaveLength(1);
  });
});

describe("redirects", () => {
  test("are followed, to another host without any secret", async () => {
    await using other = await startFaultRegistry();
    const layer = randomBytes(1000);
    other.addBlob(layer);
    const { layers } = registry.add(name, [layer]);
    const target = `http://${other.host}/v2/x/y/blobs/${layers[0]}`;
    const headers = { location: target };
    const challenge = { "www-authenticate": 'Basic realm="x"' };
    registry.misbehave(/manifests/, { do: "answer", status: 401, headers: challenge }, 1);
    registry.misbehave(new RegExp(layers[0] ?? ""), { do: "answer", status: 307, headers });
    const call = { auth: someone, metaHeaders: [["X-Meta-Team", "blue"]] as const };
    const image = await bench.images.resolve(reference(), call, testOperation());
    registry.misbehave(
      new RegExp(`/blobs/${layers[0]}`),
      { do: "answer", status: 401, headers: challenge },
      1,
    );
    await bench.images.download(image, call, bench.tell, testOperation());
    const ours = registry.seen.filter(({ headers }) => headers.has("authorization"));
    expect(ours.length).toBeGreaterThan(0);
    expect(registry.seen.every(({ headers }) => headers.get("x-meta-team") === "blue")).toBe(true);
    expect(other.seen).toHaveLength(1);
    expect([...(other.seen[0]?.headers.keys() ?? [])].toSorted()).toEqual([
      "accept-encoding",
      "connection",
      "host",
      "user-agent",
    ]);
  });

  test("without end are left after five", async () => {
    const headers = { location: "/v2/some/plug/manifests/v1" };
    registry.misbehave(/manifests/, { do: "answer", status: 302, headers });
    const error = await failure("registry.failed", resolve());
    expect(error.message).toContain("stopped after 5 redirects");
    expect(registry.seen).toHaveLength(6);
  });

  test.each([
    "http://192.0.2.1/latest/meta-data",
    "file:///etc/passwd",
    "http://user:word@127.0.0.1/",
    "http://[",
  ])("to %s are not followed", async (location) => {
    registry.misbehave(/manifests/, { do: "answer", status: 302, headers: { location } });
    await failure("registry.failed", resolve());
  });
});

describe("what is no plugin", () => {
  const type = "application/vnd.docker.distribution.manifest.v2+json";
  const blob = (mediaType: string) => ({ mediaType, digest: `sha256:${"0".repeat(64)}`, size: 1 });

  test("an ordinary image is refused in Docker's words", async () => {
    const config = blob("application/vnd.docker.container.image.v1+json");
    const manifest = { schemaVersion: 2, mediaType: type, config, layers: [] };
    registry.addManifest(name, JSON.stringify(manifest), type);
    const error = await failure("plugin.image_invalid", resolve());
    expect(error.message).toContain(
      'encountered remote "application/vnd.docker.container.image.v1+json"(image) when fetching',
    );
  });

  test("of a list the entry for this processor is taken", async () => {
    const { manifest } = registry.add({ path: "some/plug", tag: "right" }, [randomBytes(10)]);
    const own = process.arch === "x64" ? "amd64" : process.arch;
    const list = "application/vnd.oci.image.index.v1+json";
    const entry = (digest: string, architecture: string) => ({
      ...blob(type),
      digest,
      platform: { os: "linux", architecture },
    });
    const manifests = [entry(`sha256:${"1".repeat(64)}`, "s390x"), entry(manifest, own)];
    registry.addManifest(
      name,
      JSON.stringify({ schemaVersion: 2, mediaType: list, manifests }),
      list,
    );
    expect((await resolve()).manifestDigest).toBe(manifest);
    const strange = JSON.stringify({ mediaType: list, manifests: manifests.slice(0, 1) });
    registry.addManifest(name, strange, list);
    const error = await failure("plugin.image_invalid", resolve());
    expect(error.message).toContain(`no matching manifest for linux/${own}`);
  });
});

describe("unreachable", () => {
  test("nobody listens", async () => {
    const { host } = registry;
    await registry[Symbol.asyncDispose]();
    const error = await failure("registry.unreachable", resolve());
    expect(error.message).toBe(
      "error resolving plugin reference: failed to do request: Get " +
        `"https://${host}/v2/some/plug/manifests/v1": dial tcp ${host}: connect: connection refused`,
    );
    registry = await startFaultRegistry();
  });

  test("a tag that is not there is not there, though TLS was tried first", async () => {
    const error = await failure("registry.not_found", resolve());
    expect(error.message).toBe(
      `error resolving plugin reference: ${registry.host}/some/plug:v1: not found`,
    );
  });
});

describe("mirrors", () => {
  test("stand in for Docker Hub, without its password", async () => {
    using mirrored = registryBench({ mirrors: [`http://${registry.host}/`] });
    registry.add({ path: "library/plug", tag: "latest" }, [randomBytes(1000)]);
    const wanted = parsePluginReference("plug");
    const call = callWith(someone);
    const image = await mirrored.images.resolve(wanted, call, testOperation());
    await mirrored.images.download(image, call, mirrored.tell, testOperation());
    expect(mirrored.told[0]).toEqual({ status: "Pulling from plug", id: "latest" });
    expect(registry.seen.some(({ headers }) => headers.has("authorization"))).toBe(false);
  });
});

describe("a push", () => {
  test("sends what is missing, then the manifest, with Docker's lines", async () => {
    const image = await bench.stored(200_000);
    const { images, tell, told } = bench;
    const done = await images.push(reference(), image, callWith(), tell, testOperation());
    expect(done).toEqual({ digest: digestOf(image.manifest), size: image.manifest.byteLength });
    const ids = [done.digest, image.layerDigest, image.configDigest].map((one) => one.slice(7, 19));
    const lines = (status: string) => ids.map((id) => ({ status, id, isOfLayer: true }));
    expect(told.slice(0, 7)).toEqual([
      { status: `The push refers to repository [${registry.host}/some/plug]` },
      ...lines("Preparing"),
      ...lines("Preparing"),
    ]);
    const size = image.manifest.byteLength;
    expect(told.slice(-4)).toEqual([
      ...lines("Upload complete"),
      { status: "", isOfLayer: true, aux: { tag: "v1", digest: done.digest, size } },
    ]);
    const puts = registry.seen.filter(({ method }) => method === "PUT");
    expect(puts.map(({ bodyBytes }) => bodyBytes).toSorted((a, b) => b - a)[0]).toBe(200_000);
    expect(puts.at(-1)?.path).toBe("/v2/some/plug/manifests/v1");
  });

  test("that is refused in the middle says why, and sets no tag", async () => {
    const image = await bench.stored(8 * MEGABYTE);
    registry.misbehave(/PUT .*uploads/, { do: "answer", status: 413, body: "too large" });
    const { images, tell } = bench;
    const run = images.push(reference(), image, callWith(), tell, testOperation());
    const error = await failure("registry.failed", run);
    expect(error.message).toStartWith("error pushing plugin: unexpected status 413");
    expect(registry.seen.some(({ path }) => path.includes("manifests"))).toBe(false);
  });

  test("that is cut, or meets a busy registry, is tried again", async () => {
    const image = await bench.stored(8 * MEGABYTE);
    registry.misbehave(/PUT .*uploads/, { do: "hang-up" }, 1);
    registry.misbehave(/PUT .*uploads/, { do: "answer", status: 503 }, 1);
    const { images, tell } = bench;
    await images.push(reference(), image, callWith(), tell, testOperation());
  });
});

test("no secret is in what is said of a refusal", async () => {
  const challenge = { "www-authenticate": 'Basic realm="x"' };
  registry.misbehave(/manifests/, { do: "answer", status: 401, headers: challenge }, 1);
  const body = JSON.stringify({ errors: [{ code: "NO", message: `not ${someone.password}` }] });
  registry.misbehave(/manifests/, { do: "answer", status: 401, headers: challenge, body });
  const error = await failure("registry.denied", resolve(callWith(someone)));
  expect(error.message).toContain("no: not ****");
  expect(JSON.stringify([error.message, error.details])).not.toContain(someone.password);
});
