// `docker login` against our socket, with the docker command lines of this machine: a private
// registry with passwords and TLS, one with a token server, and plugins from both.
import { afterEach, beforeEach, expect } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import { type RunningDaemon, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import {
  makeAuthority,
  startRegistry,
  startTokenServer,
  type TestAuthority,
} from "../support/registry.ts";

const needed = ["root", "docker-cli", "docker-registry", "htpasswd", "openssl"] as const;
const withPlugins = [...needed, "plugin-compiler"] as const;
const user = { username: "someone", password: "a-right-password" };
const wrong = "a-wrong-password";
const timeoutMs = 60_000;
/** Debian's, and that of the machine where there is another one. */
const clients = [...new Set(["/usr/bin/docker", Bun.which("docker") ?? ""])].filter((program) =>
  existsSync(program),
);

let folder: string;
let authority: TestAuthority;
let daemon: RunningDaemon;

beforeEach(async () => {
  folder = temporaryDirectory();
  authority = await makeAuthority();
  const parameters = ["--registry-certs", join(folder, "certs.d"), "--log-level", "debug"];
  daemon = await startDaemon({ root: join(folder, "root"), parameters });
});

afterEach(async () => {
  await daemon.stop();
  authority[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** `words` as typed; the password goes in as `--password-stdin` has it. */
function docker(program: string, words: readonly string[], input = ""): Promise<Ended> {
  const environment = { DOCKER_HOST: `unix://${daemon.socketPath}`, DOCKER_CONFIG: configFolder() };
  return runToEnd(program, words, { input, environment, timeoutMs });
}

const configFolder = () => join(folder, "docker");

const logIn = (program: string, host: string, password: string) =>
  docker(program, ["login", "-u", user.username, "--password-stdin", host], password);

function nothingIsTold(): void {
  for (const password of [user.password, wrong]) {
    expect(daemon.output()).not.toContain(password);
    expect(daemon.output()).not.toContain(btoa(`${user.username}:${password}`));
  }
}

/** Makes a plugin, sends it to the registry, and installs it from there. */
async function thereAndBack(program: string, remote: string): Promise<void> {
  const place = join(folder, "plugin");
  await makePluginRootfs(place, "propagated");
  for (const words of [
    ["create", remote, place],
    ["push", remote],
    ["rm", remote],
    ["install", "--grant-all-permissions", "--disable", remote],
    ["rm", remote],
  ]) {
    const { exit, stderr } = await docker(program, ["plugin", ...words]);
    expect({ words, exit, stderr }).toEqual({ words, exit: 0, stderr: "" });
  }
}

whenPossible(
  withPlugins,
  "a login at a private registry, and a plugin of it",
  async () => {
    await using registry = await startRegistry({ passwords: user, tls: { authority } });
    const { host } = registry;
    const trusted = join(folder, "certs.d", host);
    mkdirSync(trusted, { recursive: true });
    copyFileSync(authority.certificate, join(trusted, "ca.crt"));
    for (const program of clients) {
      const refused = await logIn(program, host, wrong);
      expect([program, refused.exit, refused.stdout]).toEqual([program, 1, ""]);
      expect(refused.stderr).toBe(
        `Error response from daemon: login attempt to https://${host}/v2/ failed with status: ` +
          "401 Unauthorized\n",
      );
      const before = await docker(program, ["plugin", "install", `${host}/some/plug`], "y\n");
      expect(before.exit).toBe(1);
      expect(before.stderr).toContain("unauthorized: authentication required");
      const accepted = await logIn(program, host, user.password);
      expect([program, accepted.exit, accepted.stdout]).toEqual([program, 0, "Login Succeeded\n"]);
      await thereAndBack(program, `${host}/some/plug:v1`);
      // What the client keeps is tried again.
      const again = await docker(program, ["login", host]);
      expect([again.exit, again.stdout]).toEqual([0, expect.stringMatching(/Login Succeeded\n$/)]);
      expect((await docker(program, ["logout", host])).exit).toBe(0);
    }
    nothingIsTold();
  },
  120_000,
);

whenPossible(
  withPlugins,
  "a login with a token that goes in place of the password",
  async () => {
    const known = { ...user, identityToken: "an-identity-token", lasts: true };
    await using tokens = await startTokenServer(authority, known);
    await using registry = await startRegistry({ tokens });
    const { host } = registry;
    for (const program of clients) {
      const refused = await logIn(program, host, wrong);
      expect([program, refused.exit, refused.stderr]).toEqual([
        program,
        1,
        `Error response from daemon: Get "http://${host}/v2/": unauthorized: no, Basic ****\n`,
      ]);
      const accepted = await logIn(program, host, user.password);
      expect([program, accepted.exit, accepted.stdout]).toEqual([program, 0, "Login Succeeded\n"]);
      const kept = readFileSync(join(configFolder(), "config.json"), "utf8");
      expect(kept).toContain(known.identityToken);
      expect(kept).not.toContain(btoa(`${user.username}:${user.password}`));
      await thereAndBack(program, `${host}/some/plug:v1`);
      expect((await docker(program, ["logout", host])).exit).toBe(0);
    }
    expect(daemon.output()).not.toContain(known.identityToken);
    nothingIsTold();
  },
  120_000,
);
