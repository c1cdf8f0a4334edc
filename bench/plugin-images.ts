// Plugins in a registry on loopback, put there once by a dockerd, and their installation by API.
import { mkdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { makePluginRootfs } from "../test/support/plugin-rootfs.ts";
import { called } from "./calls.ts";
import type { Engine } from "./engines.ts";
import { programPath, run } from "./processes.ts";

/** Under what name an engine of the bench installs a plugin. */
const ALIAS = "bench";
const FILES_PER_DIRECTORY = 100;
const PIECE_BYTES = 1 << 20;

/** What fills a plugin: one file that cannot be compressed, or many that a half of can. */
export type Filling =
  | { readonly kind: "solid"; readonly bytes: number }
  | { readonly kind: "tree"; readonly bytes: number; readonly files: number };

/** An image that is to be in the registry. */
export interface PluginImage {
  readonly name: string;
  readonly filling: Filling;
}

/** Makes the plugin in `folder` and has the dockerd push it. Returns its reference. */
export async function pushPlugin(
  dockerd: Engine,
  image: PluginImage & { readonly registry: string; readonly folder: string },
  signal: AbortSignal,
): Promise<string> {
  const { registry, name, folder, filling } = image;
  const { rootfs } = await makePluginRootfs(folder, "rootfs");
  if (filling.kind === "solid") await writeSolid(join(rootfs, "solid"), filling.bytes);
  else writeTree(join(rootfs, "tree"), filling);
  const reference = `${registry}/bench/${name}:1`;
  const docker = [programPath("docker", "docker.io"), "--host", `unix://${dockerd.socket}`];
  const config = { environment: { DOCKER_CONFIG: join(folder, "client") }, signal };
  await run({ command: [...docker, "plugin", "create", reference, folder], ...config });
  await run({ command: [...docker, "plugin", "push", reference], ...config });
  await run({ command: [...docker, "plugin", "rm", "-f", reference], ...config });
  return reference;
}

async function writeSolid(path: string, bytes: number): Promise<void> {
  await using file = await open(path, "w");
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    await file.write(random(Math.min(left, PIECE_BYTES)));
  }
}

/** Files of one size; each is random bytes, and as many zeroes. */
function writeTree(directory: string, filling: Filling & { readonly files: number }): void {
  const half = Math.ceil(filling.bytes / filling.files / 2);
  for (let index = 0; index < filling.files; index++) {
    const folder = join(directory, String(Math.floor(index / FILES_PER_DIRECTORY)));
    if (index % FILES_PER_DIRECTORY === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${index}`), Buffer.concat([random(half), Buffer.alloc(half)]));
  }
}

/** `getRandomValues` gives at most 64 KiB at once. */
function random(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 65_536) {
    crypto.getRandomValues(made.subarray(at, Math.min(bytes, at + 65_536)));
  }
  return made;
}

/** As `docker plugin install` asks, without its command line. Returns how long it took, in ms. */
export async function installPlugin(
  { socket }: Pick<Engine, "socket">,
  reference: string,
  { isEnabled }: { readonly isEnabled: boolean },
): Promise<number> {
  const remote = encodeURIComponent(reference);
  const asked = await called({
    socket,
    method: "GET",
    path: `/plugins/privileges?remote=${remote}`,
  });
  const path = `/plugins/pull?remote=${remote}&name=${ALIAS}`;
  const body: object = JSON.parse(asked.text) ?? [];
  const pulled = await called({ socket, method: "POST", path, body });
  // The answer has begun with 200 before anything could fail.
  if (/"error"/.test(pulled.text)) throw new Error(pulled.text.slice(-1000));
  const enabled = isEnabled
    ? await called({ socket, method: "POST", path: `/plugins/${ALIAS}/enable?timeout=30` })
    : { ms: 0 };
  return asked.ms + pulled.ms + enabled.ms;
}

/** Removes what `installPlugin` has installed. */
export async function removePlugin({ socket }: Pick<Engine, "socket">): Promise<void> {
  await called({ socket, method: "DELETE", path: `/plugins/${ALIAS}?force=1` });
}
