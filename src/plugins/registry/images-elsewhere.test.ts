// Pulls that lead elsewhere or to something else, and pushes.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { startFaultRegistry } from "../../../test/support/fault-registry.ts";
import { testOperation } from "../../../test/support/operation.ts";
import { PullBench } from "../../../test/support/pull-bench.ts";
import { callWith, registryBench, shortDeadlines } from "../../../test/support/registry-bench.ts";
import { silentLog } from "../../core/operation.ts";
import { parsePluginReference } from "../../core/plugin-reference.ts";
import { digestOf } from "../store/blobs.ts";
import { BlobProgress } from "./blob-progress.ts";
import { downloadLayer } from "./layer-download.ts";
import { LAYER_TYPE } from "./manifest.ts";
import { RepositorySession } from "./session.ts";

const MEGABYTE = 1024 * 1024;
const someone = { username: "someone", password: "a secret word" };

const at = new PullBench();

describe("redirects", () => {
  test("are followed, to another host without any secret", async () => {
    await using other = await startFaultRegistry();
    const layer = randomBytes(1000);
    other.addBlob(layer);
    const { layers } = at.registry.add(at.name, [layer]);
    const target = `http://${other.host}/v2/x/y/blobs/${layers[0]}`;
    const headers = { location: target };
    at.registry.misbehave(new RegExp(layers[0] ?? ""), { do: "answer", status: 307, headers });
    const auth = { registryToken: "a-token" };
    const call = { auth, metaHeaders: [["X-Meta-Team", "blue"]] as const };
    await at.download(await at.resolve(call), call);
    for (const { headers: sent } of at.registry.seen) {
      expect(sent.get("authorization")).toBe("Bearer a-token");
      expect(sent.get("x-meta-team")).toBe("blue");
    }
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
    at.registry.misbehave(/manifests/, { do: "answer", status: 302, headers });
    const error = await at.failure("registry.failed", at.resolve());
    expect(error.message).toContain("stopped after 5 redirects");
    expect(at.registry.seen).toHaveLength(6);
  });

  test.each([
    "http://192.0.2.1/latest/meta-data",
    "file:///etc/passwd",
    "http://user:word@127.0.0.1/",
    "http://[",
  ])("to %s are not followed", async (location) => {
    at.registry.misbehave(/manifests/, { do: "answer", status: 302, headers: { location } });
    await at.failure("registry.failed", at.resolve());
  });
});

describe("what is no plugin", () => {
  const type = "application/vnd.docker.distribution.manifest.v2+json";
  const blob = (mediaType: string) => ({ mediaType, digest: `sha256:${"0".repeat(64)}`, size: 1 });

  test("an ordinary image is refused in Docker's words", async () => {
    const config = blob("application/vnd.docker.container.image.v1+json");
    const manifest = { schemaVersion: 2, mediaType: type, config, layers: [] };
    at.registry.addManifest(at.name, JSON.stringify(manifest), type);
    const error = await at.failure("plugin.image_invalid", at.resolve());
    expect(error.message).toContain(
      'encountered remote "application/vnd.docker.container.image.v1+json"(image) when fetching',
    );
  });

  test("of a list the entry for this processor is taken", async () => {
    const { manifest } = at.registry.add({ path: "some/plug", tag: "right" }, [randomBytes(10)]);
    const own = process.arch === "x64" ? "amd64" : process.arch;
    const list = "application/vnd.oci.image.index.v1+json";
    const entry = (digest: string, architecture: string) => ({
      ...blob(type),
      digest,
      platform: { os: "linux", architecture },
    });
    const manifests = [entry(`sha256:${"1".repeat(64)}`, "s390x"), entry(manifest, own)];
    at.registry.addManifest(
      at.name,
      JSON.stringify({ schemaVersion: 2, mediaType: list, manifests }),
      list,
    );
    expect((await at.resolve()).manifestDigest).toBe(manifest);
    const strange = JSON.stringify({ mediaType: list, manifests: manifests.slice(0, 1) });
    at.registry.addManifest(at.name, strange, list);
    const error = await at.failure("plugin.image_invalid", at.resolve());
    expect(error.message).toContain(`no matching manifest for linux/${own}`);
  });
});

describe("unreachable", () => {
  test("nobody listens", async () => {
    const gone = await startFaultRegistry();
    const { host } = gone;
    await gone[Symbol.asyncDispose]();
    const reference = parsePluginReference(`${host}/some/plug:v1`);
    const run = at.client.images.resolve(reference, callWith(someone), testOperation());
    const error = await at.failure("registry.unreachable", run);
    const url = `https://${host}/v2/some/plug/manifests/v1`;
    expect(error.message).toBe(
      `error resolving plugin reference: failed to do request: Get "${url}": ` +
        `dial tcp ${host}: connect: connection refused`,
    );
  });

  test("a tag that is not there is not there, though TLS was tried first", async () => {
    const error = await at.failure("registry.not_found", at.resolve());
    expect(error.message).toBe(
      `error resolving plugin reference: ${at.registry.host}/some/plug:v1: not found`,
    );
  });
});

describe("mirrors", () => {
  test("stand in for Docker Hub, without its passwords", async () => {
    using mirrored = registryBench({ mirrors: [`http://${at.registry.host}`] });
    at.registry.add({ path: "library/plug", tag: "latest" }, [randomBytes(1000)]);
    const wanted = parsePluginReference("plug");
    const call = callWith({ ...someone, registryToken: "a-token" });
    const image = await mirrored.images.resolve(wanted, call, testOperation());
    await mirrored.images.download(image, call, mirrored.tell, testOperation());
    expect(mirrored.told[0]).toEqual({ status: "Pulling from plug", id: "latest" });
    expect(at.registry.seen.some(({ headers }) => headers.has("authorization"))).toBe(false);
  });

  test("that lack or break a layer are left for the original", async () => {
    await using mirror = await startFaultRegistry();
    const layer = randomBytes(MEGABYTE);
    const digest = at.registry.addBlob(layer);
    const session = (host: string, isMirror: boolean) =>
      new RepositorySession({
        address: { host, bases: [`http://${host}`], isMirror },
        repository: { path: "some/plug", actions: "pull" },
        call: callWith(),
        settings: at.client.settings,
        deadlines: shortDeadlines,
        log: silentLog,
      });
    const sessions = [session(mirror.host, true), session(at.registry.host, false)];
    const size = layer.byteLength;
    const word = { doing: "Downloading", first: "", tell: at.client.tell };
    const host = { monotonicMs: () => performance.now() };
    const progress = new BlobProgress({ digest, size, ...word, host });
    const described = { digest, size, mediaType: LAYER_TYPE };
    const fetchIt = async () => {
      const ingest = await at.client.store.ingest();
      const download = { layer: described, sessions, ingest, progress, deadlines: shortDeadlines };
      await downloadLayer(download, testOperation());
      at.client.store.collect(new Set());
    };
    await fetchIt();
    mirror.addBlob(layer);
    mirror.misbehave(/blobs/, { do: "cut", afterBytes: 300_000 }, 1);
    await fetchIt();
    expect(mirror.seen).toHaveLength(2);
    // What was sent and not read yet may be lost with the connection.
    const ranges = at.registry.seen.map(({ headers }) => headers.get("range"));
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expect(Number(/\d+/.exec(ranges[1] ?? "")?.[0])).toBeLessThanOrEqual(300_000);
  });
});

describe("a push", () => {
  test("sends what is missing, then the manifest, with Docker's lines", async () => {
    const image = await at.client.stored(200_000);
    const { images, tell, told } = at.client;
    const done = await images.push(at.reference, image, callWith(), tell, testOperation());
    expect(done).toEqual({ digest: digestOf(image.manifest), size: image.manifest.byteLength });
    const ids = [done.digest, image.layerDigest, image.configDigest].map((one) => one.slice(7, 19));
    const lines = (status: string) => ids.map((id) => ({ status, id, isOfLayer: true }));
    expect(told.slice(0, 7)).toEqual([
      { status: `The push refers to repository [${at.registry.host}/some/plug]` },
      ...lines("Preparing"),
      ...lines("Preparing"),
    ]);
    const size = image.manifest.byteLength;
    expect(told.slice(-4)).toEqual([
      ...lines("Upload complete"),
      { status: "", isOfLayer: true, aux: { tag: "v1", digest: done.digest, size } },
    ]);
    const puts = at.registry.seen.filter(({ method }) => method === "PUT");
    expect(puts.map(({ bodyBytes }) => bodyBytes).toSorted((a, b) => b - a)[0]).toBe(200_000);
    expect(puts.at(-1)?.path).toBe("/v2/some/plug/manifests/v1");
  });

  test("that is refused in the middle says why, and sets no tag", async () => {
    const image = await at.client.stored(8 * MEGABYTE);
    at.registry.misbehave(/PUT .*uploads/, { do: "answer", status: 413, body: "too large" });
    const { images, tell } = at.client;
    const run = images.push(at.reference, image, callWith(), tell, testOperation());
    const error = await at.failure("registry.failed", run);
    expect(error.message).toStartWith("error pushing plugin: unexpected status 413");
    expect(at.registry.seen.some(({ path }) => path.includes("manifests"))).toBe(false);
  });

  test("that is cut, or meets a busy registry, is tried again", async () => {
    const image = await at.client.stored(8 * MEGABYTE);
    at.registry.misbehave(/PUT .*uploads/, { do: "hang-up" }, 1);
    at.registry.misbehave(/PUT .*uploads/, { do: "answer", status: 503 }, 1);
    const { images, tell } = at.client;
    await images.push(at.reference, image, callWith(), tell, testOperation());
  });
});

test("no secret is in what is said of a refusal", async () => {
  const challenge = { "www-authenticate": 'Basic realm="x"' };
  at.registry.misbehave(/manifests/, { do: "answer", status: 401, headers: challenge }, 1);
  const body = JSON.stringify({ errors: [{ code: "NO", message: `not ${someone.password}` }] });
  at.registry.misbehave(/manifests/, { do: "answer", status: 401, headers: challenge, body });
  const error = await at.failure("registry.denied", at.resolve(callWith(someone)));
  expect(error.message).toContain("no: not ****");
  expect(JSON.stringify([error.message, error.details])).not.toContain(someone.password);
});
