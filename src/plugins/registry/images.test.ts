// Pulls from a registry that works, and then does everything that it should not.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { testOperation } from "../../../test/support/operation.ts";
import { PullBench } from "../../../test/support/pull-bench.ts";
import { callWith, registryBench, shortDeadlines } from "../../../test/support/registry-bench.ts";
import { EngineError } from "../../core/errors.ts";
import { parsePluginReference } from "../../core/plugin-reference.ts";
import { digestOf } from "../store/blobs.ts";

const MEGABYTE = 1024 * 1024;

const at = new PullBench();

const ranges = () =>
  at.registry.seen
    .filter(({ path }) => path.includes("/blobs/"))
    .map(({ headers }) => headers.get("range"));

describe("a pull", () => {
  test("brings verified layers, in order, with Docker's lines", async () => {
    const layers = [randomBytes(3000), randomBytes(5000), randomBytes(7000), randomBytes(1)];
    const added = at.registry.add(at.name, layers, Buffer.from('{"a":1}'));
    const image = await at.resolve();
    expect(image.manifestDigest).toBe(added.manifest);
    expect(Buffer.from(image.config).toString()).toBe('{"a":1}');
    const files = await at.download(image);
    expect(files.map((path) => readFileSync(path))).toEqual(layers);
    expect(at.client.partial()).toEqual([]);
    const ids = added.layers.map((digest) => digest.slice(7, 19));
    expect(at.client.told.slice(0, 6)).toEqual([
      { status: `Pulling from ${at.registry.host}/some/plug`, id: "v1" },
      { status: `Digest: ${added.manifest}` },
      ...ids.map((id) => ({ status: "Waiting", id, isOfLayer: true })),
    ]);
    const last = at.client.told.slice(6).map(({ status, id }) => `${status} ${id}`);
    expect(last.toSorted()).toEqual(ids.map((id) => `Download complete ${id}`).toSorted());
  });

  test("of what is there already asks for nothing", async () => {
    at.registry.add(at.name, [randomBytes(1000)]);
    await at.pull();
    const before = at.registry.seen.length;
    at.client.told.length = 0;
    await at.pull();
    expect(at.registry.seen.slice(before).map(({ path }) => path)).toEqual([
      "/v2/some/plug/manifests/v1",
      expect.stringContaining("/v2/some/plug/blobs/"),
    ]);
    expect(at.client.told.at(-1)?.status).toBe("Already exists");
  });

  test("that takes a while has figures, ten times a second at most", async () => {
    at.registry.add(at.name, [randomBytes(500)]);
    at.registry.misbehave(/blobs/, { do: "trickle", everyMs: 1 }, 3);
    const image = await at.resolve();
    await at.download(image);
    const layer = at.client.told.filter(({ isOfLayer }) => isOfLayer);
    expect(layer.slice(0, 2).map(({ status }) => status)).toEqual(["Waiting", "Pulling fs layer"]);
    const figures = layer.filter(({ status }) => status === "Downloading");
    expect(figures.length).toBeGreaterThan(0);
    expect(figures.length).toBeLessThan(20);
    expect(figures[0]).toMatchObject({ total: 500 });
  });

  test("takes the same layer twice once", async () => {
    const layer = randomBytes(2000);
    at.registry.add(at.name, [layer, layer]);
    const files = await at.pull();
    expect(files).toHaveLength(2);
    expect(at.registry.seen.filter(({ path }) => path.includes(digestOf(layer)))).toHaveLength(1);
  });
});

describe("a transfer that is cut", () => {
  test("goes on where it was, however often, as long as something moves", async () => {
    const layer = randomBytes(MEGABYTE);
    at.registry.add(at.name, [layer]);
    const image = await at.resolve();
    at.registry.misbehave(/GET .*blobs/, { do: "cut", afterBytes: 100_000 }, 9);
    const files = await at.download(image);
    expect(readFileSync(files[0] ?? "")).toEqual(layer);
    expect(ranges().slice(-3)).toEqual(["bytes=700000-", "bytes=800000-", "bytes=900000-"]);
  });

  test("is given up after five times without progress", async () => {
    const { layers } = at.registry.add(at.name, [randomBytes(MEGABYTE)]);
    at.registry.misbehave(/GET .*blobs.*/, { do: "cut", afterBytes: 1000 });
    // The config is shorter than that, and whole.
    const error = await at.failure("registry.unreachable", at.pull());
    expect(error.message).toContain("unexpected EOF");
    expect(at.registry.seen.filter(({ path }) => path.includes(layers[0] ?? ""))).toHaveLength(5);
  });

  test("begins again where the registry knows no ranges", async () => {
    const layer = randomBytes(MEGABYTE);
    at.registry.add(at.name, [layer]);
    const image = await at.resolve();
    at.registry.misbehave(/blobs/, { do: "cut", afterBytes: 300_000 }, 1);
    at.registry.misbehave(/blobs/, { do: "ignore-range" });
    const files = await at.download(image);
    expect(readFileSync(files[0] ?? "")).toEqual(layer);
  });

  test("goes on after a server that fell silent in the middle", async () => {
    // Only the silence ends the wait, not the pace.
    using patient = registryBench({ deadlines: { ...shortDeadlines, paceMs: 60_000 } });
    const layer = randomBytes(MEGABYTE);
    at.registry.add(at.name, [layer]);
    const image = await at.resolve();
    at.registry.misbehave(/blobs/, { do: "stall", afterBytes: 500_000 }, 1);
    const { images, tell } = patient;
    const files = await images.download(image, callWith(), tell, testOperation());
    expect(readFileSync(files[0]?.path ?? "")).toEqual(layer);
    expect(ranges().at(-1)).toBe("bytes=500000-");
  });

  test("that says nothing is not asked again: that took its time already", async () => {
    at.registry.add(at.name, [randomBytes(10)]);
    at.registry.misbehave(/manifests/, { do: "silence" });
    const error = await at.resolve().catch((thrown: unknown) => thrown);
    expect(String(error)).toContain("timeout awaiting response");
    const asked = at.registry.seen.filter(({ path }) => path.includes("/manifests/"));
    expect(asked).toHaveLength(1);
  });

  test("before its answer is tried again, for a manifest too", async () => {
    at.registry.add(at.name, [randomBytes(10)]);
    at.registry.misbehave(/blobs/, { do: "hang-up" }, 2);
    at.registry.misbehave(/manifests/, { do: "cut", afterBytes: 20 }, 2);
    expect(await at.pull()).toHaveLength(1);
  });
});

describe("lies", () => {
  test("another content of the same size", async () => {
    const { layers } = at.registry.add(at.name, [randomBytes(1000)]);
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "replace", body: randomBytes(1000) });
    const error = await at.failure("plugin.image_invalid", at.pull());
    expect(error.message).toContain("unexpected digest sha256:");
    expect(at.client.store.has(layers[0] ?? "")).toBe(false);
  });

  test.each([999, 1001])("a layer of %d bytes that should have 1000", async (bytes) => {
    const { layers } = at.registry.add(at.name, [randomBytes(1000)]);
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "replace", body: randomBytes(bytes) });
    const error = await at.failure("plugin.image_invalid", at.pull());
    expect(error.message).toContain(`has ${bytes} bytes, expected 1000`);
  });

  test.each([500, 4000])("a Content-Length of %d for 1000 bytes", async (bytes) => {
    const { layers } = at.registry.add(at.name, [randomBytes(1000)]);
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "claim", bytes });
    await at.failure("plugin.image_invalid", at.pull());
  });

  test("a layer without end", async () => {
    const { layers } = at.registry.add(at.name, [randomBytes(1000)]);
    const image = await at.resolve();
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "flood" });
    const { images, tell } = at.client;
    const run = images.download(image, callWith(), tell, testOperation());
    const error = await at.failure("plugin.image_invalid", run);
    expect(error.message).toContain("more than 1000 bytes");
    expect(at.registry.sentBytes).toBeLessThan(16 * MEGABYTE);
  });

  test("a manifest without end", async () => {
    at.registry.add(at.name, []);
    at.registry.misbehave(/manifests/, { do: "flood" });
    const error = await at.failure("registry.failed", at.resolve());
    expect(error.message).toContain("is longer than 4194304 bytes");
    expect(at.registry.sentBytes).toBeLessThan(24 * MEGABYTE);
  });

  test("a manifest of 100 MB that says so is not read", async () => {
    at.registry.add(at.name, []);
    at.registry.misbehave(/manifests/, { do: "claim", bytes: 100 * MEGABYTE });
    await at.failure("registry.failed", at.resolve());
  });

  test("another manifest than the one named by digest", async () => {
    const { manifest } = at.registry.add(at.name, [randomBytes(10)]);
    const other = at.registry.add({ path: "some/plug", tag: "v2" }, [randomBytes(10)]);
    at.registry.misbehave(/manifests/, {
      do: "answer",
      status: 200,
      headers: { "content-type": "application/vnd.docker.distribution.manifest.v2+json" },
      body: "{}",
    });
    const wanted = parsePluginReference(`${at.registry.host}/some/plug@${manifest}`);
    const run = at.client.images.resolve(wanted, callWith(), testOperation());
    const error = await at.failure("plugin.image_invalid", run);
    expect(error.message).toContain(`expected ${manifest}`);
    expect(other.manifest).not.toBe(manifest);
  });

  test("one layer that is wrong ends the others, and leaves nothing half", async () => {
    const good = [randomBytes(MEGABYTE), randomBytes(MEGABYTE)];
    const { layers } = at.registry.add(at.name, [...good, randomBytes(1000)]);
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "stall", afterBytes: 1000 });
    at.registry.misbehave(new RegExp(layers[2] ?? ""), { do: "replace", body: randomBytes(1000) });
    await at.failure("plugin.image_invalid", at.pull());
  });
});

describe("patience", () => {
  test("ends with a registry that says nothing", async () => {
    at.registry.misbehave(/manifests/, { do: "silence" });
    const error = await at.failure("registry.unreachable", at.resolve());
    expect(error.message).toStartWith(
      "error resolving plugin reference: failed to do request: Get",
    );
    expect(error.message).toEndWith("timeout awaiting response");
  });

  test("ends with a layer that trickles", async () => {
    const { layers } = at.registry.add(at.name, [randomBytes(MEGABYTE)]);
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "trickle", everyMs: 20 });
    const error = await at.failure("registry.unreachable", at.pull());
    expect(error.message).toContain("next to nothing");
  });

  test("ends with a manifest that trickles", async () => {
    at.registry.add(at.name, [randomBytes(MEGABYTE)]);
    at.registry.misbehave(/manifests/, { do: "trickle", everyMs: 50 });
    await at.failure("registry.unreachable", at.resolve());
  });

  test("ends with the operation: at once, for its reason, and nothing is left", async () => {
    const { layers } = at.registry.add(at.name, [randomBytes(MEGABYTE)]);
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "stall", afterBytes: 1000 });
    const stop = new AbortController();
    const run = at.pull(callWith(), stop.signal);
    const why = new EngineError("operation.cancelled", "enough");
    setTimeout(() => stop.abort(why), 100);
    expect(await at.failure("operation.cancelled", run)).toBe(why);
  });

  test.each([503, 500, 429])("covers %d twice, with what Retry-After says", async (status) => {
    at.registry.add(at.name, [randomBytes(10)]);
    const headers = { "retry-after": "0" };
    at.registry.misbehave(/manifests/, { do: "answer", status, headers }, 2);
    expect(await at.pull()).toHaveLength(1);
    at.registry.misbehave(/manifests/, { do: "answer", status, headers, body: "oops" });
    const error = await at.failure("registry.failed", at.resolve());
    expect(error.message).toContain(`unexpected status ${status}`);
  });

  test("does not cover a refusal", async () => {
    const body = '{"errors":[{"code":"DENIED","message":"requested access is denied"}]}';
    at.registry.misbehave(/manifests/, { do: "answer", status: 403, body });
    const error = await at.failure("registry.denied", at.resolve());
    expect(error.message).toContain("denied: requested access is denied");
    expect(at.registry.seen).toHaveLength(1);
  });
});
