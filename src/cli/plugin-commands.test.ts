// The plugin commands beyond recorded sessions: help, terminals, logins, uploads, our own words.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  type Answer,
  FakeDaemon,
  type FakeRequest,
  json,
  type Outcome,
  runWords,
  type Surroundings,
} from "../../test/support/fake-daemon.ts";
import { sourceRoot } from "../../tools/source-root.ts";
import { TarReader, type TarSink } from "../core/tar-reader.ts";
import { renderCommandHelp } from "./help.ts";
import { pluginCommands } from "./plugin-commands.ts";

let folder: string;
let requests: FakeRequest[];
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-plugin-words-");
  requests = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs one line against a daemon that answers by method and path, without version and query. */
async function run(
  words: readonly string[],
  replies: Readonly<Record<string, ReturnType<Answer>>>,
  surroundings: Surroundings = {},
): Promise<Outcome> {
  const answer: Answer = (request) => {
    requests.push(request);
    const path = request.path.replace(/^\/v[0-9.]+/, "").replace(/\?.*$/, "");
    if (path === "/_ping") return { status: 200, headers: { "Api-Version": "1.51" } };
    const found = replies[`${request.method} ${path}`];
    return found ?? json({ message: "page not found" }, 404);
  };
  await using daemon = await FakeDaemon.start(answer);
  return await runWords(words, daemon.host, { env: { DOCKER_CONFIG: folder }, ...surroundings });
}

function lines(...objects: readonly object[]) {
  return { status: 200, body: objects.map((each) => `${JSON.stringify(each)}\r\n`).join("") };
}

/** Name, type, mode, what it links to, and how many bytes came. */
function entriesOf(tar: Uint8Array): readonly (readonly (string | number)[])[] {
  const entries: (string | number)[][] = [];
  let dataBytes = 0;
  const sink: TarSink = {
    entry({ name, type, mode, linkName }) {
      dataBytes = 0;
      entries.push([name, type, mode.toString(8), linkName]);
    },
    data: (chunk) => {
      dataBytes += chunk.length;
    },
    entryEnd: () => void entries.at(-1)?.push(dataBytes),
  };
  const reader = new TarReader(sink, { bytesMax: 10_000_000, entryCountMax: 100 });
  reader.push(tar);
  reader.end();
  return entries;
}

const sockets = {
  name: "rclone",
  kind: "socket",
  id: null,
  state: "unreachable",
  since: "2026-11-22T11:48:00Z",
  reason: "connection refused",
  restarts: 0,
  volumes: 2,
  version: null,
  address: "unix:///run/docker/plugins/rclone.sock",
  directory: null,
};
const managed = {
  ...sockets,
  name: "vieux/sshfs:latest",
  kind: "managed",
  id: "ab".repeat(32),
  state: "ready",
  reason: null,
  version: "latest",
};

describe("on a terminal", () => {
  test("ls has states, volumes, versions and plugins on sockets", async () => {
    const replies = { "GET /holdfast/v1/plugins": json({ plugins: [sockets, managed] }) };
    const env = { NO_COLOR: "1" };
    const { stdout } = await run(["plugin", "ls"], replies, { isTerminal: true, env });
    expect(stdout).toBe(
      "NAME                 KIND      VERSION   VOLUMES   STATE\n" +
        "rclone               socket    -         2         " +
        "UNREACHABLE 12m (connection refused)\n" +
        "vieux/sshfs:latest   managed   latest    2         running\n",
    );
  });

  test.each([
    [1, "once"],
    [3, "3 times"],
  ])("ls says how often a plugin was started again: %d", async (restarts, words) => {
    const plugin = { ...managed, state: "restarting", restarts, reason: "it ended" };
    const replies = { "GET /holdfast/v1/plugins": json({ plugins: [plugin] }) };
    const env = { NO_COLOR: "1" };
    const { stdout } = await run(["plugin", "ls"], replies, { isTerminal: true, env });
    expect(stdout).toEndWith(`RESTARTING 12m, started ${words} (it ended)\n`);
  });

  test("ls is Docker's table where the daemon is Docker's", async () => {
    const replies = { "GET /plugins": json([]) };
    const { stdout } = await run(["plugin", "ls"], replies, { isTerminal: true });
    expect(stdout).toBe("ID        NAME      DESCRIPTION   ENABLED\n");
  });

  test("a layer has one line, which is overwritten", async () => {
    const layer = (status: string, current?: number) => ({
      status,
      progressDetail: current === undefined ? {} : { current, total: 2_000_000 },
      id: "d9d8ef149be4",
    });
    const push = lines({ status: "The push refers" }, layer("Preparing"), layer("Up", 1_000_000));
    const replies = { "POST /plugins/p:latest/push": push };
    const { stdout } = await run(["plugin", "push", "p"], replies, { isTerminal: true });
    const bar = `[${"=".repeat(25)}>${" ".repeat(25)}]      1MB/2MB`;
    expect(stdout).toBe(
      "The push refers\n" +
        "\n\x1b[1A\x1b[2K\rd9d8ef149be4: Preparing\r\x1b[1B" +
        `\x1b[1A\x1b[2K\rd9d8ef149be4: Up ${bar}\r\x1b[1B`,
    );
  });

  test("an install that did not start says what is left, and the way out", async () => {
    const replies = {
      "GET /plugins/privileges": json(null),
      "POST /plugins/pull": lines({ status: "Pulling from a/b", id: "latest" }),
      "POST /plugins/a/b:latest/set": json({ message: 'setting "X" not found' }, 500),
    };
    const env = { NO_COLOR: "1" };
    const where = { isTerminal: true, env: { DOCKER_CONFIG: folder, ...env } };
    const { stderr, exit } = await run(["plugin", "install", "a/b", "X=1"], replies, where);
    expect(exit).toBe(1);
    const [first, second] = stderr.split("\n");
    expect(first).toBe('Error response from daemon: setting "X" not found');
    expect(second).toStartWith("a/b:latest is installed, and disabled.");
    expect(second).toEndWith("or take it back with: holdfast plugin rm a/b:latest");
    // Programs see Docker's.
    const piped = await run(["plugin", "install", "a/b", "X=1"], replies);
    expect(piped.stderr).toBe('Error response from daemon: setting "X" not found\n');
  });

  test("what a plugin wrote is not obeyed", async () => {
    const line = { at: "2026-11-22T11:00:00Z", stream: "stdout", text: "\x1b[2Jgone" };
    const replies = { "GET /holdfast/v1/plugins/p/logs": json({ lines: [line] }) };
    const { stdout } = await run(["plugin", "logs", "p"], replies, { isTerminal: true });
    expect(stdout).toBe("2026-11-22T11:00:00Z �[2Jgone\n");
  });
});

test("a failure in the progress ends the command with its words", async () => {
  const failed = lines(
    { status: "Pulling from a/b", id: "latest" },
    { errorDetail: { message: "incorrect privileges" }, error: "incorrect privileges" },
  );
  const replies = { "GET /plugins/privileges": json(null), "POST /plugins/pull": failed };
  const outcome = await run(["plugin", "install", "a/b"], replies);
  expect(outcome).toEqual({
    stdout: "latest: Pulling from a/b\n",
    stderr: "incorrect privileges\n",
    exit: 1,
  });
  // Neither set nor enabled.
  expect(requests.filter(({ method }) => method === "POST")).toHaveLength(1);
});

describe("an upgrade of a plugin that runs", () => {
  const plugin = { Id: "1", Name: "a/b:latest", Enabled: true, PluginReference: "a/b:latest" };
  const privilege = { Name: "network", Description: "to talk", Value: ["host"] };
  const inspect = { "GET /plugins/a/b/json": json({ ...plugin, Config: {} }) };

  test("is left to a daemon of ours, with what was granted", async () => {
    const outcome = await run(["plugin", "upgrade", "--grant-all-permissions", "a/b"], {
      ...inspect,
      "GET /holdfast/v1/health": json({ status: "ok" }),
      "GET /plugins/privileges": json([privilege]),
      "POST /holdfast/v1/plugins/a/b:latest/upgrade": lines({ status: "Pulling", id: "latest" }),
    });
    expect(outcome.stderr).toBe("");
    expect(outcome.stdout).toBe(
      "Upgrading plugin a/b:latest from a/b:latest to a/b:latest\n" +
        "latest: Pulling\nUpgraded plugin a/b:latest to a/b:latest\n",
    );
    const asked = requests.find(({ path }) => path.includes("/holdfast/v1/plugins"));
    expect(JSON.parse(asked?.body ?? "")).toEqual({
      remote: "docker.io/a/b:latest",
      granted: [{ name: "network", description: "to talk", value: ["host"] }],
    });
  });

  test("is refused where the daemon is Docker's", async () => {
    const outcome = await run(["plugin", "upgrade", "a/b"], inspect);
    expect(outcome.stderr).toBe("the plugin must be disabled before upgrading\n");
    expect(outcome.exit).toBe(1);
  });
});

describe("logins", () => {
  const replies = { "POST /plugins/reg.lan:5000/p:latest/push": lines({ status: "done" }) };

  async function sentFor(config: object): Promise<{ auth: unknown; stderr: string }> {
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    const { stderr } = await run(["plugin", "push", "reg.lan:5000/p"], replies);
    const header = requests.at(-1)?.headers.get("x-registry-auth") ?? "";
    return { auth: JSON.parse(Buffer.from(header, "base64url").toString("utf8")), stderr };
  }

  test("come from Docker's file, by the registry's name", async () => {
    const auth = Buffer.from("kim:pa:ss").toString("base64");
    const { auth: sent } = await sentFor({ auths: { "https://reg.lan:5000/v1/": { auth } } });
    expect(sent).toEqual({ username: "kim", password: "pa:ss", serveraddress: "reg.lan:5000" });
  });

  test("are none without one, and tokens are handed on", async () => {
    expect((await sentFor({})).auth).toEqual({});
    const { auth } = await sentFor({ auths: { "reg.lan:5000": { identitytoken: "t" } } });
    expect(auth).toEqual({ identitytoken: "t", serveraddress: "reg.lan:5000" });
  });

  test("that a program keeps are not asked for, which is said", async () => {
    const { auth, stderr } = await sentFor({ credsStore: "pass", auths: { "reg.lan:5000": {} } });
    expect(auth).toEqual({});
    expect(stderr).toStartWith("holdfast does not ask docker-credential-pass, which may keep");
  });

  test("of a file that is broken end the command", async () => {
    writeFileSync(join(folder, "config.json"), "{");
    const { stderr, exit } = await run(["plugin", "push", "reg.lan:5000/p"], replies);
    expect(exit).toBe(1);
    expect(stderr).toContain("config.json is not JSON");
  });
});

describe("create", () => {
  const replies = { "POST /plugins/create": { status: 204 } };
  const long = `rootfs/${"d".repeat(120)}`;

  beforeEach(() => {
    mkdirSync(join(folder, "p", long), { recursive: true });
    writeFileSync(join(folder, "p/config.json"), '{"description":"x"}');
    writeFileSync(join(folder, "p", long, "file"), "x".repeat(300_000), { mode: 0o755 });
    linkSync(join(folder, "p", long, "file"), join(folder, "p/rootfs/same"));
    symlinkSync("/etc/passwd", join(folder, "p/rootfs/pw"));
  });

  for (const flags of [[], ["--compress"]]) {
    test(`sends the directory as a tar ${flags.join("")}`, async () => {
      const outcome = await run(["plugin", "create", ...flags, "a/b", join(folder, "p")], replies);
      expect(outcome).toEqual({ stdout: "a/b\n", stderr: "", exit: 0 });
      const sent = requests.at(-1);
      expect(sent?.headers.get("content-type")).toBe("application/x-tar");
      const bytes = sent?.bytes ?? new Uint8Array(0);
      const seen = entriesOf(flags.length > 0 ? gunzipSync(bytes) : bytes);
      const link = `${long}/file`;
      expect(seen).toEqual([
        ["config.json", "file", "644", "", 19],
        ["rootfs/", "directory", "755", "", 0],
        [`${long}/`, "directory", "755", "", 0],
        [link, "file", "755", "", 300_000],
        ["rootfs/pw", "symlink", "777", "/etc/passwd", 0],
        ["rootfs/same", "hardLink", "755", link, 0],
      ]);
    });
  }

  test("tells what is missing in Docker's words", async () => {
    writeFileSync(join(folder, "plain"), "");
    const words = ["plugin", "create", "a/b", join(folder, "plain")];
    expect((await run(words, replies)).stderr).toBe("context must be a directory\n");
    const upper = await run(["plugin", "create", "Bad/Name", folder], replies);
    expect(upper.stderr).toContain("must be lowercase");
  });
});

describe("help", () => {
  const page = readFileSync(
    join(sourceRoot, "test/fixtures/cli/docker-plugin-help-28.2.2.txt"),
    "utf8",
  );
  const chapters = page.split(/^### docker /m).slice(1);

  for (const chapter of chapters.filter((each) => each.startsWith("plugin "))) {
    const [words = "", ...rest] = chapter.split("\n");
    const typed = words.replace(" --help", "");
    test(`of ${typed} is Docker's, without what is ours`, () => {
      const command = pluginCommands.find((each) => each.words.join(" ") === typed);
      const options = command?.options.filter(({ name }) => name !== "json") ?? [];
      const help = command && renderCommandHelp({ ...command, options, examples: [] });
      expect(help?.replaceAll("holdfast", "docker").trim()).toBe(rest.join("\n").trim());
    });
  }
});

test("what was meant is said on a terminal, with the way out", async () => {
  const replies = {
    "DELETE /plugins/sshf": json({ message: 'plugin "sshf" not found' }, 404),
    "GET /plugins": json([{ Name: "sshfs:latest" }]),
  };
  const surroundings = { isTerminal: true, env: { NO_COLOR: "1" } };
  const { stderr } = await run(["plugin", "rm", "sshf"], replies, surroundings);
  expect(stderr).toBe(
    'Error response from daemon: plugin "sshf" not found\nDid you mean sshfs?\n' +
      "List the plugins that are installed with: holdfast plugin ls\n",
  );
});

test("names are completed without what is behind :latest", async () => {
  const replies = { "GET /holdfast/v1/plugins": json({ plugins: [sockets, managed] }) };
  const { stdout } = await run(["__complete", "plugin", "rm", ""], replies);
  expect(stdout).toBe("vieux/sshfs\n");
});

test("what a plugin asks for is shown, and not obeyed by the terminal", async () => {
  const hidden = "/srv\r\u001b[1A\u001b[2K";
  const asked = [
    { Name: "mount", Description: "", Value: [hidden] },
    { Name: "device", Description: "", Value: ["/dev/fuse]\n - nothing: [", "\u202e\u0085x"] },
    { Name: "host pid namespace", Description: "", Value: ["true"] },
  ];
  const { stdout } = await run(
    ["plugin", "install", "x/y"],
    { "GET /plugins/privileges": json(asked) },
    { input: "n" },
  );
  expect(stdout).toContain(
    ' - mount: ["/srv\\r\\u001b[1A\\u001b[2K"]\n' +
      ' - device: ["/dev/fuse]\\n - nothing: [" "\\u{202e}\\u{85}x"]\n' +
      " - host pid namespace: [true]\n",
  );
});
