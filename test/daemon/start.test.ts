// How the daemon starts, and how it says that it cannot: one sentence, the way out, an exit code.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { exchange } from "../docker/wire.ts";
import { type Ended, runToEnd } from "../support/child.ts";
import {
  holdfastCommand,
  startDaemon,
  temporaryDirectory,
  withoutPlugins,
} from "../support/daemon.ts";
import { needs, skipLoudly, whenPossible } from "../support/needs.ts";

const endTimeoutMs = 20_000;
const nobody = 65_534;

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A daemon that is expected to end by itself. */
function refused(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const [program, ...first] = holdfastCommand();
  const none = { HOLDFAST_PLUGIN_SOCKET: "none", HOLDFAST_LOCK_DIRECTORY: "none" };
  const config = { HOLDFAST_CONFIG: "", ...none, ...environment };
  return runToEnd(program, [...first, "daemon", ...parameters], {
    environment: config,
    timeoutMs: endTimeoutMs,
  });
}

function place(name = "root"): readonly string[] {
  const socket = `unix://${join(folder, "h.sock")}`;
  return ["--root", join(folder, name), "--host", socket, ...withoutPlugins];
}

function mode(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8);
}

/** A message, then the way out; nothing that looks like a stack. */
function expectSentences({ stderr }: Ended): void {
  const lines = stderr
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("{"));
  expect(lines[0]).toStartWith("holdfast: ");
  expect(lines.length).toBeLessThanOrEqual(2);
  expect(stderr).not.toContain("    at ");
}

describe("wrong values end with exit code 2", () => {
  const wrong: readonly (readonly [readonly string[], Readonly<Record<string, string>>, string])[] =
    [
      [["--nosuch"], {}, "unknown argument"],
      [["--log-level", "loud"], {}, "one of debug, info, warn, error is needed"],
      [["--host", "tcp://1.2.3.4:5"], {}, "unix:// and an absolute path are needed"],
      [[], { HOLDFAST_HOST: "nowhere" }, 'host "nowhere"'],
      [[], { HOLDFAST_CONFIG: "/nonexistent" }, "configuration file /nonexistent"],
      [["--group", "nosuchgroup"], {}, 'group "nosuchgroup": there is no such group'],
    ];
  for (const [args, environment, text] of wrong) {
    test(`${args.join(" ")} ${JSON.stringify(environment)}`, async () => {
      const base = environment["HOLDFAST_HOST"] === undefined ? place() : place().slice(0, 2);
      const isHost = args.includes("--host");
      const ended = await refused([...(isHost ? base.slice(0, 2) : base), ...args], environment);
      expect(ended.stderr).toContain(text);
      expect(ended.exit).toBe(2);
      expectSentences(ended);
    });
  }
});

describe("a root that is not for a daemon alone ends with exit code 2, and stays as it was", () => {
  async function expectRefused(text: string): Promise<void> {
    const before = readdirSync(join(folder, "root"));
    const ended = await refused(place());
    expect(ended.stderr).toContain(text);
    expect(ended.exit).toBe(2);
    expectSentences(ended);
    expect(readdirSync(join(folder, "root"))).toEqual(before);
  }

  for (const bits of [0o1777, 0o777, 0o1755]) {
    test(`with the mode ${bits.toString(8)}, as /tmp has it`, async () => {
      mkdirSync(join(folder, "root"));
      chmodSync(join(folder, "root"), bits);
      await expectRefused("root: every user may write there");
    });
  }

  test("with files of somebody else", async () => {
    mkdirSync(join(folder, "root", "projects"), { recursive: true });
    await expectRefused('root: a directory of its own is needed, and "projects" is there');
  });

  for (const known of [["lost+found"], ["volumes"], ["volumes", "notes"]]) {
    test(`but ${known.join(" and ")} may be there`, async () => {
      const root = join(folder, "root");
      for (const name of known) mkdirSync(join(root, name), { recursive: true });
      await using daemon = await startDaemon({ root });
      expect((await exchange(daemon.socketPath, { method: "GET", path: "/_ping" })).status).toBe(
        200,
      );
    });
  }

  test("with volumes/ that leads elsewhere", async () => {
    mkdirSync(join(folder, "root"));
    mkdirSync(join(folder, "outside", "wiki", "_data"), { recursive: true });
    symlinkSync(join(folder, "outside"), join(folder, "root", "volumes"));
    const ended = await refused(place());
    expect(ended.stderr).toContain("volumes is not a plain directory on the file system of the");
    expect(ended.exit).toBe(2);
    expectSentences(ended);
    expect(readdirSync(join(folder, "outside"))).toEqual(["wiki"]);
  });
});

test("a root whose holds/ leads elsewhere ends with exit code 2", async () => {
  mkdirSync(join(folder, "root"));
  mkdirSync(join(folder, "outside"));
  symlinkSync(join(folder, "outside"), join(folder, "root", "holds"));
  const ended = await refused(place());
  expect(ended.stderr).toContain("holds is not a plain directory");
  expect(ended.exit).toBe(2);
  expectSentences(ended);
});

describe("a place that cannot be had ends with exit code 1", () => {
  test("a root below a file", async () => {
    writeFileSync(join(folder, "file"), "");
    const ended = await refused(place("file/root"));
    expect(ended.stderr).toContain("it is not a directory");
    expect(ended.exit).toBe(2);
    expectSentences(ended);
  });

  test("a socket below a file", async () => {
    writeFileSync(join(folder, "file"), "");
    const host = `unix://${join(folder, "file", "h.sock")}`;
    const ended = await refused(["--root", join(folder, "root"), "--host", host]);
    expect(ended.stderr).toContain("error while making the directory of the socket");
    expect(ended.exit).toBe(1);
    expectSentences(ended);
  });

  test("a socket that somebody else listens on, or that is no socket", async () => {
    const path = join(folder, "h.sock");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const inUse = await refused(place());
    await new Promise((resolve) => server.close(resolve));
    expect(inUse.stderr).toContain("another program listens on");
    expect(inUse.stderr).toContain("a place of its own: --host unix://PATH");
    writeFileSync(path, "somebody's file");
    const noSocket = await refused(place());
    expect(noSocket.stderr).toContain("is no socket");
    expect(readFileSync(path, "utf8")).toBe("somebody's file");
    for (const ended of [inUse, noSocket]) {
      expect(ended.exit).toBe(1);
      expectSentences(ended);
    }
  });

  test("the containers' sockets of another daemon", async () => {
    const lockDirectory = join(folder, "locks");
    const first = await startDaemon({ root: join(folder, "root"), lockDirectory });
    const own = place("other").filter((word) => !word.startsWith("--lock-directory"));
    const second = await refused(own, { HOLDFAST_LOCK_DIRECTORY: lockDirectory });
    await first.stop();
    // It stays mounted for containers that have it, where anything can be mounted.
    for (const target of [lockDirectory, `${lockDirectory}.own`]) spawnSync("umount", [target]);
    expect(second.stderr).toContain("another program listens on");
    expect(second.stderr).toContain("a place of its own: --lock-directory PATH, or none");
    expect(second.exit).toBe(1);
    expectSentences(second);
  });

  test("a root that another daemon has, which goes on", async () => {
    await using first = await startDaemon({ root: join(folder, "root") });
    const ended = await refused(place());
    expect(ended.stderr).toContain(`in use by another daemon (pid ${first.pid})`);
    expect(ended.exit).toBe(1);
    expectSentences(ended);
    const ping = await exchange(first.socketPath, { method: "GET", path: "/_ping" });
    expect(ping.status).toBe(200);
  });

  whenPossible(["root", "mount"], "a root on a read-only file system", async () => {
    const root = join(folder, "root");
    mkdirSync(root);
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "ro,mode=755", "none", root]).status).toBe(0);
    try {
      const ended = await refused(place());
      expect(ended.stderr).toMatch(/read-only file system/i);
      expect(ended.stderr).toContain("Make the file system of the data root writable again.");
      expect(ended.exit).toBe(1);
      expectSentences(ended);
    } finally {
      spawnSync("umount", [root]);
    }
  });

  whenPossible(["root", "mount"], "a root on a full file system", async () => {
    const root = join(folder, "root");
    mkdirSync(root);
    expect(
      spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=755", "none", root]).status,
    ).toBe(0);
    try {
      const ended = await refused(place());
      expect(ended.stderr).toContain("Free space below the data root");
      expect(ended.exit).toBe(1);
      expectSentences(ended);
    } finally {
      spawnSync("umount", [root]);
    }
  });
});

describe("a daemon that runs", () => {
  test("keeps its state to itself, and its socket to its group", async () => {
    const root = join(folder, "root");
    await using daemon = await startDaemon({ root });
    const body = JSON.stringify({ Name: "wiki", DriverOpts: { size: "0" } });
    const headers = { "Content-Type": "application/json" };
    const request = { method: "POST", path: "/volumes/create", headers, body };
    expect((await exchange(daemon.socketPath, request)).status).toBe(201);
    expect(mode(daemon.socketPath)).toBe("660");
    expect(mode(join(root, "volumes", "wiki", "opts.json"))).toBe("600");
    await daemon.stop();
    const files = readdirSync(root).filter((name) => statSync(join(root, name)).isFile());
    expect(files).toContain("state.db");
    expect(files).toContain("state.copy");
    expect(files).toContain("lock");
    for (const name of files) expect([name, mode(join(root, name))]).toEqual([name, "600"]);
    for (const name of ["volumes", "trash"]) expect(mode(join(root, name))).toBe("701");
  });

  test("is ready in one line, and makes its root for others to pass through", async () => {
    const root = join(folder, "some", "root");
    const [program, ...first] = holdfastCommand();
    await using child = Bun.spawn([program, ...first, "daemon", ...place("some/root")], {
      stdout: "pipe",
      stderr: "ignore",
      stdin: "ignore",
    });
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const line = new TextDecoder().decode(value);
    expect(line).toMatch(
      /^holdfast \S+ is ready on unix:\/\/\S+h\.sock \(root \S+\/some\/root, 0 volumes\)\n$/,
    );
    expect(mode(root)).toBe("711");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    await reader.cancel();
  });

  test("has the same id in every life, and another one on another root", async () => {
    const id = async (root: string, end: "stop" | "kill"): Promise<string> => {
      const daemon = await startDaemon({ root: join(folder, root) });
      const { body } = await exchange(daemon.socketPath, { method: "GET", path: "/info" });
      await daemon[end]();
      return JSON.parse(body).ID;
    };
    const first = await id("root", "kill");
    expect(first).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(await id("root", "stop")).toBe(first);
    expect(await id("root", "stop")).toBe(first);
    expect(await id("other", "stop")).not.toBe(first);
  });

  whenPossible(["root"], "gives its socket to the group it is told", async () => {
    await using daemon = await startDaemon({
      root: join(folder, "root"),
      parameters: ["--group", "daemon"],
    });
    const gid = Number(/^daemon:[^:]*:(\d+)/m.exec(readFileSync("/etc/group", "utf8"))?.[1]);
    expect(statSync(daemon.socketPath).gid).toBe(gid);
    expect(mode(daemon.socketPath)).toBe("660");
  });

  test("takes its data root through a link, and shows real paths", async () => {
    mkdirSync(join(folder, "real"));
    symlinkSync(join(folder, "real"), join(folder, "link"));
    await using daemon = await startDaemon({ root: join(folder, "link") });
    const headers = { "Content-Type": "application/json" };
    const request = { method: "POST", path: "/volumes/create", headers, body: '{"Name":"wiki"}' };
    const { body } = await exchange(daemon.socketPath, request);
    expect(JSON.parse(body).Mountpoint).toBe(join(folder, "real", "volumes", "wiki", "_data"));
  });
});

/** Sources and runtime must be readable for the other user. */
function asNobody(name: string, run: () => Promise<void>): void {
  const [program, ...first] = holdfastCommand();
  const { skip } = needs("root");
  const seen = spawnSync(program, [...first, "daemon", "--help"], {
    uid: nobody,
    gid: nobody,
    cwd: "/",
  });
  const reason = skip ?? (seen.status === 0 ? undefined : "another user cannot run these sources");
  if (reason === undefined) test(name, run);
  else skipLoudly(name, reason, run);
}

describe("as another user", () => {
  asNobody("the XDG places are used, and the socket stays his own", async () => {
    const home = join(folder, "home");
    mkdirSync(home);
    chmodSync(folder, 0o755);
    chownSync(home, nobody, nobody);
    const [program, ...first] = holdfastCommand();
    await using child = Bun.spawn(
      [
        "setpriv",
        `--reuid=${nobody}`,
        `--regid=${nobody}`,
        "--clear-groups",
        program,
        ...first,
        "daemon",
      ],
      {
        env: { PATH: process.env["PATH"] ?? "", HOME: home, XDG_RUNTIME_DIR: join(home, "run") },
        cwd: "/",
        stdin: "ignore",
        stdout: "pipe",
        stderr: "ignore",
      },
    );
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const socket = join(home, "run", "holdfast", "holdfast.sock");
    expect(new TextDecoder().decode(value)).toContain(`is ready on unix://${socket}`);
    expect(mode(socket)).toBe("660");
    const headers = { "Content-Type": "application/json" };
    const request = { method: "POST", path: "/volumes/create", headers, body: '{"Name":"wiki"}' };
    expect((await exchange(socket, request)).status).toBe(201);
    const data = join(home, ".local/share/holdfast/volumes/wiki/_data");
    expect(existsSync(data)).toBe(true);
    expect(statSync(data).uid).toBe(nobody);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    await reader.cancel();
  });
});
