// Plugins that the real Docker pushed are read by us, and what we push is installed by it.
import { expect } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parsePluginReference } from "../../src/core/plugin-reference.ts";
import { writeManifest } from "../../src/plugins/registry/manifest.ts";
import { startDockerd } from "../support/dockerd.ts";
import { whenPossible } from "../support/needs.ts";
import { testOperation } from "../support/operation.ts";
import { startRegistry } from "../support/registry.ts";
import { callWith, registryBench } from "../support/registry-bench.ts";

const config = {
  description: "a plugin that does nothing",
  documentation: "none",
  entrypoint: ["/nothing"],
  interface: { types: ["docker.volumedriver/1.0"], socket: "nothing.sock" },
  network: { type: "host" },
};

const needed = ["root", "dockerd", "docker-cli", "docker-registry", "unshare"] as const;

whenPossible(needed, "a plugin goes from Docker to us, and from us to Docker", async () => {
  using bench = registryBench();
  await using registry = await startRegistry();
  const folder = join(bench.folder, "plugin");
  mkdirSync(join(folder, "rootfs"), { recursive: true });
  writeFileSync(join(folder, "rootfs/hello"), "hello");
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const dataRoot = join(bench.folder, "docker");
  mkdirSync(dataRoot);
  await using dockerd = await startDockerd({ dataRoot });
  const theirs = `${registry.host}/team/nothing:v1`;
  expect(await dockerd.docker("plugin", "create", theirs, folder)).toMatchObject({ exit: 0 });
  const pushed = await dockerd.docker("plugin", "push", theirs);
  expect(pushed).toMatchObject({ exit: 0, stderr: "" });

  const { images, store, tell, told } = bench;
  const reference = parsePluginReference(theirs);
  const image = await images.resolve(reference, callWith(), testOperation());
  expect(pushed.stdout).toContain(`${image.manifestDigest.slice(7, 19)}: Preparing`);
  expect(JSON.parse(Buffer.from(image.config).toString("utf8"))).toMatchObject({
    Description: config.description,
  });
  const files = await images.download(image, callWith(), tell, testOperation());
  expect(gunzipSync(readFileSync(files[0]?.path ?? "")).toString("latin1")).toContain("hello");

  // What we write of the same parts is what Docker wrote, byte for byte.
  await store.put(image.config);
  const parts = { digest: image.configDigest, size: image.config.byteLength };
  const manifest = writeManifest(parts, image.layers);
  expect(Buffer.from(manifest).toString()).toBe(Buffer.from(image.manifest).toString());
  const ours = parsePluginReference(`${registry.host}/team/ours:v2`);
  told.length = 0;
  await images.push(ours, { ...image, manifest }, callWith(), tell, testOperation());
  // Docker sends blobs side by side: which comes first is chance.
  const preparing = (lines: readonly string[]) =>
    lines.filter((line) => line.endsWith("Preparing")).sort();
  expect(preparing(told.map(({ id, status }) => `${id}: ${status}`))).toEqual(
    preparing(pushed.stdout.split("\n")),
  );
  expect(told.at(-1)?.aux?.digest).toBe(image.manifestDigest);
  const install = ["plugin", "install", "--grant-all-permissions", "--disable"];
  const installed = await dockerd.docker(...install, "--alias", "back", ours.familiar);
  expect(installed).toMatchObject({ exit: 0 });
  const listed = await dockerd.docker("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}");
  expect(listed.stdout).toContain("back:latest false\n");
});
