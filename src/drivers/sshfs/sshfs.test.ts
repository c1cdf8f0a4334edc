// The kind against a real sshd: what is written, what is left, what is said, what comes back.
import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually, runToEnd, startChild, stopChild } from "../../../test/support/child.ts";
import { type Requirement, whenPossible } from "../../../test/support/needs.ts";
import { testOperation } from "../../../test/support/operation.ts";
import {
  type Bench,
  host,
  openBench,
  processesOf,
  untilNothingIsLeft,
} from "../../../test/support/sshfs-kind.ts";
import { EngineError } from "../../core/errors.ts";
import type { RemoteMount } from "../../remote/kind.ts";
import { sshfsKind } from "./driver.ts";
import type { SshfsOptions } from "./options.ts";

/** For what takes seconds, and more than `bun test` gives by itself on a busy machine. */
const PATIENT_MS = 60_000;

const needed: readonly Requirement[] = ["root", "fuse", "mount", "sshd", "sshfs"];
type Mount = RemoteMount<SshfsOptions>;

function mountIt(bench: Bench, mount: Mount): Promise<void> {
  return bench.kind().mount(mount, testOperation(AbortSignal.timeout(20_000)));
}

function unmountIt(bench: Bench, mount: Mount, isLost = false): Promise<void> {
  return bench.kind().unmount(mount, { isLost }, testOperation(AbortSignal.timeout(30_000)));
}

async function keyWithPassphrase({ server: { folder } }: Bench): Promise<string> {
  const file = join(folder, "closed");
  const words = ["-q", "-t", "ed25519", "-N", "open sesame", "-f", file];
  await runToEnd("ssh-keygen", words, { timeoutMs: 10_000 });
  return readFileSync(file, "utf8");
}

/** Waits at most so long for the storage. */
async function ask(mount: Mount, ms: number): Promise<number> {
  return (await host.askStorage(mount.target, testOperation(AbortSignal.timeout(ms)))).tookMs;
}

async function failure(work: Promise<unknown>): Promise<EngineError> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof EngineError) return thrown;
  throw new Error("did not fail as expected", { cause: thrown });
}

/** One question has been asked before, and still waits after a while. */
async function untilStuck(mount: Mount): Promise<void> {
  await host.run("true", [], testOperation());
  expect((await failure(ask(mount, 20_000))).code).toBe("driver.timed_out");
}

function untilAnswers(mount: Mount, timeoutMs: number): Promise<number> {
  return eventually(() => ask(mount, 2_000).catch(() => undefined), {
    timeoutMs,
    otherwise: () => "it does not answer again",
  });
}

describe("a mount", () => {
  whenPossible(needed, "what is written is on the server, and nothing is left of it", async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    await writeFile(join(mount.target, "page"), "written");
    expect(readFileSync(join(bench.served, "page"), "utf8")).toBe("written");
    writeFileSync(join(bench.served, "other"), "found");
    expect(await readFile(join(mount.target, "other"), "utf8")).toBe("found");
    expect(processesOf(mount.runDirectory).length).toBe(2);
    const key = bench.userKey.split("\n")[1] ?? "";
    expect(processesOf(mount.runDirectory).join()).not.toContain(key);
    // A later connection of it trusts nobody else.
    expect(readFileSync(join(mount.runDirectory, "ssh_config"), "utf8")).toContain(
      "StrictHostKeyChecking yes",
    );
    expect(statSync(join(mount.runDirectory, "key")).mode & 0o777).toBe(0o600);
    await unmountIt(bench, mount);
    await untilNothingIsLeft(mount);
    await unmountIt(bench, mount);
  });

  whenPossible(needed, "links, a path that is one, a directory below, read-only", async () => {
    await using bench = await openBench();
    mkdirSync(join(bench.served, "below"));
    const link = `${bench.served}-link`;
    symlinkSync(bench.served, link);
    const mount = {
      ...bench.mount({ path: link, cache: "0" }),
      subpath: "below",
    };
    await mountIt(bench, mount);
    await writeFile(join(mount.target, "file"), "");
    symlinkSync("../file", join(mount.target, "up"));
    expect(await readlink(join(mount.target, "up"))).toBe("../file");
    await unmountIt(bench, mount);
    expect(statSync(join(bench.served, "below", "file")).isFile()).toBe(true);
    const owner = { uid: "1234", gid: "1235", umask: "027" };
    const fixed = { ...mount, options: bench.mount({ symlinks: "inside", ...owner }).options };
    await mountIt(bench, { ...fixed, isReadOnly: true });
    const shown = await stat(join(mount.target, "file"));
    expect([shown.uid, shown.gid, shown.mode & 0o777]).toEqual([1234, 1235, 0o750]);
    const refused = await mkdir(join(mount.target, "x")).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "EROFS" });
    const { stdout } = await runToEnd("sshfs", ["--help"], { timeoutMs: 5_000 });
    const inside = await readlink(join(mount.target, "up")).catch((error: unknown) => error);
    if (stdout.includes("no_contain_symlinks")) expect(inside).toMatchObject({ code: "EPERM" });
    await unmountIt(bench, mount);
  });

  whenPossible(
    [...needed, "openssl", "unshare"],
    "a password logs in, connects anew, and is nowhere",
    async () => {
      const password = "correct horse, battery";
      await using bench = await openBench(password);
      const mount = bench.mount({}, `${password}\n`);
      await mountIt(bench, mount);
      await writeFile(join(mount.target, "page"), "written");
      expect(processesOf(mount.runDirectory).join()).not.toContain("horse");
      await bench.server.kill();
      await bench.server.restart();
      await untilAnswers(mount, 10_000);
      expect(await bench.kind().refresh?.(mount, testOperation())).toBe(false);
      await unmountIt(bench, mount);
      await untilNothingIsLeft(mount);
      const wrong = bench.mount({}, "another one");
      const refused = await failure(mountIt(bench, wrong));
      expect(refused).toMatchObject({ code: "remote.denied" });
      expect(refused.message).not.toContain("another one");
      await untilNothingIsLeft(wrong);
    },
  );
});

describe("what fails leaves nothing", () => {
  whenPossible(needed, "a wrong key, a missing path, a closed port", async () => {
    await using bench = await openBench();
    const hostKey = readFileSync(join(bench.server.folder, "host"), "utf8");
    const cases: readonly (readonly [Mount, string, RegExp])[] = [
      [bench.mount({}, hostKey), "remote.denied", /Permission denied \(publickey/],
      [
        bench.mount({}, bench.userKey.slice(0, 200)),
        "remote.denied",
        /key cannot be read.*Load key/,
      ],
      [bench.mount({}, "PuTTY-User-Key-File-3: x"), "secret.invalid", /puttygen/],
      [bench.mount({}, "user=me\npassword=hush\n"), "secret.invalid", /host=USER@HOST/],
      [bench.mount({}, "ssh-ed25519 AAAAC3Nza me"), "secret.invalid", /public key/],
      [bench.mount({}, await keyWithPassphrase(bench)), "secret.invalid", /passphrase/],
      [bench.mount({ path: "/no/such" }), "remote.not_found", /\/no\/such.*No such file/],
      [bench.mount({ path: "/etc/passwd" }), "remote.not_found", /Not a directory|No such/],
      [bench.mount({ port: "1" }), "remote.unreachable", /Connection refused/],
      [bench.mount({ host: "no-such-host.invalid" }), "remote.unreachable", /resolve/],
    ];
    for (const [mount, code, words] of cases) {
      const refused = await failure(mountIt(bench, mount));
      expect([refused.code, refused.message]).toEqual([code as never, refused.message]);
      expect(refused.message).toMatch(words);
      await untilNothingIsLeft(mount);
    }
  });

  whenPossible(needed, "a host key that is not the pinned or the recorded one", async () => {
    await using bench = await openBench();
    const publicKey = (name: string) =>
      readFileSync(join(bench.server.folder, `${name}.pub`), "utf8")
        .split(" ")
        .slice(0, 2)
        .join(" ");
    const before = publicKey("host");
    await mountIt(bench, bench.mount());
    await unmountIt(bench, bench.mount());
    await bench.server.kill();
    await bench.server.restart({ hasNewKey: true });
    const changed = await failure(mountIt(bench, bench.mount()));
    expect(changed.code).toBe("remote.denied");
    expect(changed.message).toContain("-o host-key=");
    const pinned = await failure(mountIt(bench, bench.mount({ "host-key": before })));
    expect(pinned.code).toBe("remote.denied");
    await mountIt(bench, bench.mount({ "host-key": publicKey("host") }));
    await unmountIt(bench, bench.mount());
  });

  whenPossible(
    needed,
    "a server that is silent from the start",
    async () => {
      await using bench = await openBench();
      await bench.server.freeze();
      const mount = bench.mount();
      const controller = new AbortController();
      const waiting = bench.kind().mount(mount, testOperation(controller.signal));
      await eventually(() => (processesOf(mount.runDirectory).length > 0 ? true : undefined), {
        timeoutMs: 5_000,
        otherwise: () => "no sshfs was started",
      });
      const reason = new EngineError("driver.timed_out", "enough");
      controller.abort(reason);
      expect(await failure(waiting)).toBe(reason);
      await untilNothingIsLeft(mount);
      expect((await failure(mountIt(bench, mount))).code).toBe("remote.unreachable");
      await untilNothingIsLeft(mount);
    },
    PATIENT_MS,
  );
});

describe("what goes wrong later", () => {
  whenPossible(needed, "a dead sshfs is stale, and is mounted anew", async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    expect(await bench.kind().look?.(mount, testOperation())).toEqual({});
    expect(host.signalKept(bench.process(), "SIGKILL")).toBe(true);
    await eventually(
      async () => ((await bench.kind().look?.(mount, testOperation()))?.stale ? true : undefined),
      { timeoutMs: 5_000, otherwise: () => "it is not seen" },
    );
    expect((await failure(ask(mount, 2_000))).details["isGone"]).toBe(true);
    await unmountIt(bench, mount, true);
    await untilNothingIsLeft(mount);
    await mountIt(bench, mount);
    await ask(mount, 2_000);
    await unmountIt(bench, mount);
  });

  whenPossible(
    needed,
    "an sshfs that is stopped is ended all the same",
    async () => {
      await using bench = await openBench();
      const mount = bench.mount();
      for (const isLost of [false, true]) {
        await mountIt(bench, mount);
        process.kill(bench.process().pid, "SIGSTOP");
        const waiting = isLost ? failure(ask(mount, 60_000)) : undefined;
        if (isLost) await untilStuck(mount);
        await unmountIt(bench, mount, isLost);
        if (waiting !== undefined) expect((await waiting).details["isGone"]).toBe(true);
        await untilNothingIsLeft(mount);
      }
    },
    PATIENT_MS,
  );

  whenPossible(needed, "the next life of the daemon goes on with it", async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    const before = bench.process();
    // Every call here has a kind of its own: nothing is known but what the directories say.
    expect(await bench.kind().look?.(mount, testOperation())).toEqual({});
    expect(await bench.kind().refresh?.(mount, testOperation())).toBe(true);
    expect(await bench.kind().refresh?.(bench.mount({ umask: "077" }), testOperation())).toBe(
      false,
    );
    expect(bench.process()).toEqual(before);
    await unmountIt(bench, mount);
    expect(host.processStart(before.pid)).toBeUndefined();
  });

  whenPossible(needed, "a silent server comes back; what waits goes on or fails", async () => {
    await using bench = await openBench();
    const mount = bench.mount({ timeout: "3" });
    await mountIt(bench, mount);
    await bench.server.freeze();
    const waiting = failure(ask(mount, 60_000));
    await untilStuck(mount);
    // Silent for longer than the timeout: the connection is given up, and so is what waits.
    expect((await waiting).details["isGone"]).toBe(false);
    await bench.server.thaw();
    await untilAnswers(mount, 5_000);
    await unmountIt(bench, mount);
  });

  whenPossible(needed, "a silent server that is lost keeps nothing", async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    await bench.server.freeze();
    const waiting = failure(ask(mount, 60_000));
    await untilStuck(mount);
    await unmountIt(bench, mount, true);
    expect((await waiting).details["isGone"]).toBe(true);
    await untilNothingIsLeft(mount);
  });

  whenPossible(needed, "an emptied run directory is made anew before it is needed", async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    const before = bench.process();
    const look = (secret = mount.secret) =>
      bench.kind().look?.({ ...mount, secret }, testOperation());
    rmSync(mount.runDirectory, { recursive: true });
    const unreadable = () => Promise.reject(new Error("the key is gone"));
    expect(await look(unreadable)).toEqual({});
    expect(await look()).toEqual({});
    expect(bench.process()).toEqual(before);
    await bench.server.kill();
    await bench.server.restart();
    await untilAnswers(mount, 10_000);
    await unmountIt(bench, mount);
    await untilNothingIsLeft(mount);
  });

  whenPossible(needed, "a server that is restarted, with another key of the user", async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    await bench.server.kill();
    expect((await failure(ask(mount, 10_000))).details["isGone"]).toBe(false);
    // The server accepts this one from now on, and the old one no more.
    writeFileSync(
      join(bench.server.folder, "authorized"),
      readFileSync(join(bench.server.folder, "host.pub")),
    );
    await bench.server.restart();
    expect((await failure(ask(mount, 10_000))).details["isGone"]).toBe(false);
    const rotated = bench.mount({}, readFileSync(join(bench.server.folder, "host"), "utf8"));
    expect(await bench.kind().refresh?.(rotated, testOperation())).toBe(true);
    await untilAnswers(mount, 10_000);
    await unmountIt(bench, mount);
  });
});

whenPossible(
  needed,
  "twenty rounds leave nothing behind",
  async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    for (let round = 0; round < 20; round++) {
      await mountIt(bench, mount);
      await unmountIt(bench, mount);
    }
    await untilNothingIsLeft(mount);
  },
  PATIENT_MS,
);

whenPossible(
  [...needed, "unshare"],
  "a copy of the mount in another namespace keeps nothing and costs no seconds",
  async () => {
    await using bench = await openBench();
    const mount = bench.mount();
    await mountIt(bench, mount);
    const other = startChild("unshare", [
      "-m",
      "--propagation",
      "private",
      "sh",
      "-c",
      "echo ready; exec sleep 60",
    ]);
    try {
      if (other.stdout === null) throw new Error("the child has no output");
      await once(other.stdout, "data");
      const startedMs = performance.now();
      await unmountIt(bench, mount);
      expect(performance.now() - startedMs).toBeLessThan(4_000);
      await untilNothingIsLeft(mount);
    } finally {
      await stopChild(other);
    }
  },
  PATIENT_MS,
);

test("options that do not fit together, or would be options of ssh", () => {
  const { rules, parse, address, server } = sshfsKind(host, "/nowhere/known_hosts");
  const accepts = (name: string, value: string) =>
    rules.find((rule) => rule.name === name)?.rule?.accepts(value);
  for (const bad of ["-oProxyCommand=x", "a@-o", "host:path", "a b", "x@y@z", "h,ro", ""]) {
    expect([bad, accepts("host", bad)]).toEqual([bad, false]);
  }
  for (const good of ["nas", "me@nas.example", "me@[fd00::1]", "10.0.0.1"]) {
    expect([good, accepts("host", good)]).toEqual([good, true]);
  }
  expect(accepts("host-key", `ssh-ed25519 ${"A".repeat(68)}`)).toBe(true);
  expect(accepts("host-key", `ssh-ed25519 ${"A".repeat(68)}\nx`)).toBe(false);
  expect(accepts("ciphers", "aes128-gcm@openssh.com,aes256-ctr")).toBe(true);
  expect(accepts("ciphers", "aes ProxyCommand")).toBe(false);
  const options = parse({ host: "me@[fd00::1]", port: "2022", secret: "s" });
  expect(address(options)).toEqual({ host: "fd00::1", port: 2022 });
  expect(server(options)).toBe("[fd00::1]:2022");
  expect(() => parse({ host: "nas" })).toThrow(/holdfast secret create/);
  expect(() => parse({ host: "nas", secret: "s", idmap: "user", uid: "1" })).toThrow(/idmap/);
});
