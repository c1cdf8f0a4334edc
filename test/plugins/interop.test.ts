// One registry, a real dockerd and Holdfast: what one of them makes and pushes, the other installs
// and uses, and both mean the same bytes.
import { expect } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { makeAuthority, type RunningRegistry, startRegistry } from "../support/registry.ts";
import { testImage } from "../support/test-image.ts";
import { Stage } from "./stage.ts";

const needed: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "docker-registry", "plugin-runtime"] as const),
  ...(["mount", "unshare", "busybox"] as const),
];
const timeoutMs = 120_000;
const grant = ["plugin", "install", "--grant-all-permissions"];

/** One of the two, by its docker command line. */
type Docker = (...words: readonly string[]) => Promise<string>;

/** Makes it and pushes it. */
async function publish(docker: Docker, name: string, folder: string): Promise<void> {
  await makePluginRootfs(folder, "propagated", { description: `made as ${name}` });
  await docker("plugin", "create", name, folder);
  await docker("plugin", "push", name);
  await docker("plugin", "rm", name);
}

/** Installs it, and pushes what was installed under another name. Returns what the first said. */
async function handOn(docker: Docker, name: string, other: string): Promise<string> {
  const said = await docker(...grant, "--disable", "--alias", other, name);
  await docker("plugin", "push", other);
  await docker("plugin", "rm", other);
  return /Digest: (sha256:[\da-f]{64})/.exec(said)?.[1] ?? said;
}

/** What the registry has under a name. */
function digestAt({ host, folder }: RunningRegistry, name: string): string {
  const [path, tag] = name.slice(host.length + 1).split(":");
  const repository = join(folder, "data/docker/registry/v2/repositories", String(path));
  return readFileSync(join(repository, "_manifests/tags", String(tag), "current/link"), "utf8");
}

/** From one to the other and back, as a plugin that serves volumes at each. */
async function bothWays(stage: Stage, registry: RunningRegistry): Promise<void> {
  const ours: Docker = (...words) => stage.docker(...words);
  const theirs: Docker = (...words) => stage.bench.docker("--config", stage.folder, ...words);
  const named = (name: string) => `${registry.host}/${name}`;
  const digests = new Map<string, string>();
  for (const [maker, other, name] of [
    [theirs, ours, named("theirs/vp")],
    [ours, theirs, named("ours/vp")],
  ] as const) {
    await publish(maker, `${name}:v1`, join(stage.folder, name.replaceAll("/", "-")));
    const digest = digestAt(registry, `${name}:v1`);
    expect(await handOn(other, `${name}:v1`, `${name}:again`)).toBe(digest);
    expect(digestAt(registry, `${name}:again`)).toBe(digest);
    digests.set(name, digest);
  }

  // Theirs at ours.
  await ours(...grant, "--alias", "vp", named("theirs/vp:v1"));
  expect((await stage.plugin("vp"))?.digest).toBe(digests.get(named("theirs/vp")));
  await stage.bench.createVolume("wiki", "driver=vp", "type=tmpfs");
  expect(await stage.shellOnce("wiki", "grep -c ' /data tmpfs ' /proc/mounts")).toBe("1");
  await ours("volume", "rm", "wiki");
  await ours("plugin", "rm", "--force", "vp");

  // Ours at theirs.
  await theirs(...grant, "--alias", "vp", named("ours/vp:again"));
  const line = "echo written > /data/page && grep -c ' /data tmpfs ' /proc/mounts";
  const volume = ["--volume-driver=vp", "--volume=blog:/data", "--network=none"];
  await theirs("volume", "create", "--driver", "vp", "--opt", "type=tmpfs", "blog");
  expect(await theirs("run", "--rm", ...volume, testImage, "sh", "-c", line)).toBe("1");
  await theirs("volume", "rm", "blog");
  await theirs("plugin", "rm", "--force", "vp");
}

whenPossible(
  needed,
  "over plain HTTP",
  async () => {
    await using stage = await Stage.open();
    await using registry = await startRegistry();
    await bothWays(stage, registry);
  },
  timeoutMs,
);

whenPossible(
  [...needed, "openssl", "htpasswd"],
  "over TLS, with passwords",
  async () => {
    using authority = await makeAuthority();
    const passwords = { username: "kim", password: "secret" };
    await using registry = await startRegistry({ passwords, tls: { authority } });
    const certificates = join(registry.folder, "certs.d");
    mkdirSync(join(certificates, registry.host), { recursive: true });
    copyFileSync(authority.certificate, join(certificates, registry.host, "ca.crt"));
    await using stage = await Stage.open({ parameters: [`--registry-certs=${certificates}`] });
    const without = await stage.run(...grant, `${registry.host}/theirs/vp:v1`);
    expect(without.stderr).toContain("unauthorized: authentication required");
    const login = ["login", "--username=kim", registry.host];
    const denied = await stage.run(...login, "--password=wrong");
    expect(denied.stderr).toContain("failed with status: 401 Unauthorized");
    expect(await stage.docker(...login, "--password=secret")).toEndWith("Login Succeeded");
    await bothWays(stage, registry);
    expect(registry.log()).not.toContain("secret");
  },
  timeoutMs,
);
