// Locks on the command line: the table, completion, words that make no sense, and what is sent.
import { describe, expect, spyOn, test } from "bun:test";
import { FakeDaemon, type FakeRequest, json, runWords } from "../../test/support/fake-daemon.ts";

const holder = { pid: 4711, program: "sh", label: "publish.sh", container: null, name: null };
const publish = {
  ...{ volume: "assets", lock: "publish", mode: "exclusive", fence: "1795677091429001" },
  holder: { ...holder, container: "c".repeat(64), name: "web-1" },
  since: "2026-11-22T11:59:48Z",
  expires: "2026-11-22T12:00:18Z",
  waiting: 2,
};
const index = {
  ...{ ...publish, lock: "index", mode: "shared", waiting: 0 },
  holder: { ...holder, label: "" },
};
const unknown = {
  ...{ ...index, volume: "a" },
  holder: { pid: 0, program: "", label: "", container: "d".repeat(64), name: null },
};
const token = `assets/publish/${"1".repeat(32)}`;

function lockDaemon(requests: FakeRequest[] = []) {
  return FakeDaemon.start((request) => {
    requests.push(request);
    const { path, method } = request;
    if (path === "/holdfast/v1/locks") return json({ locks: [publish, unknown, index] });
    if (path === "/holdfast/v1/volumes/assets/locks") return json({ locks: [publish, index] });
    if (path.endsWith("/volumes")) return json({ Volumes: [{ Name: "assets" }, { Name: "b" }] });
    if (method === "DELETE") return { status: 204 };
    return json({ ...publish, id: "1".repeat(32) });
  });
}

function run(line: string, daemon: FakeDaemon) {
  return runWords(line.split(" "), daemon.host);
}

describe("lock ls", () => {
  test("shows who has which lock, since when and until when, and how many wait", async () => {
    await using daemon = await lockDaemon();
    expect((await run("lock ls", daemon)).stdout).toBe(
      "VOLUME    LOCK      MODE        HOLDER                     FENCE              SINCE     " +
        "EXPIRES   WAITING\n" +
        "a         index     shared      dddddddddddd               1795677091429001   12s       " +
        "in 18s    -\n" +
        "assets    index     shared      sh (4711)                  1795677091429001   12s       " +
        "in 18s    -\n" +
        "assets    publish   exclusive   web-1: publish.sh (4711)   1795677091429001   12s       " +
        "in 18s    2\n",
    );
  });

  test("prints names, JSON and templates, of one volume where it is named", async () => {
    await using daemon = await lockDaemon();
    expect((await run("lock ls -q", daemon)).stdout).toBe(
      "a/index\nassets/index\nassets/publish\n",
    );
    const lines = (await run("lock ls --volume assets --json", daemon)).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([index, publish]);
    const template = await run("lock list --volume assets --format {{.Lock}}:{{.Mode}}", daemon);
    expect(template.stdout).toBe("index:shared\npublish:exclusive\n");
  });
});

describe("a lock's words", () => {
  test.each([
    ["lock acquire publish", '"publish" is not VOLUME/NAME: write both, or add --volume\n'],
    ["lock acquire a/b/c", '"a/b/c" names no lock: write VOLUME/NAME\n'],
    ["lock acquire /b", '"/b" names no lock: write VOLUME/NAME\n'],
    ["lock acquire --volume x a/b", "two volumes are named, x and a: leave one of them out\n"],
    [
      "lock acquire --no-process a/b",
      "a lock without a process needs --ttl: only its time would ever end it\n",
    ],
    ["lock acquire --no-process --ttl 1m --pid 1 a/b", "either --pid or --no-process is needed\n"],
    ["lock acquire --pid x a/b", "--pid takes the number of a process\n"],
    [
      "lock release assets/publish",
      "what `holdfast lock acquire` printed is needed here, which is VOLUME/NAME/ID\n",
    ],
  ])("%s", async (line, stderr) => {
    await using daemon = await lockDaemon();
    expect(await run(line, daemon)).toEqual({ stdout: "", stderr, exit: 2 });
    expect(daemon.requests).toEqual([]);
  });

  test.each(["publish -- true", "a/b/c -- true", "assets/publish", "--volume x a/b -- true"])(
    "lock run %s starts nothing, and ends as no command does by itself",
    async (words) => {
      await using daemon = await lockDaemon();
      expect((await run(`lock run ${words}`, daemon)).exit).toBe(125);
      expect(daemon.requests).toEqual([]);
    },
  );

  test.each(["--ttl 0", "--ttl 2d", "--ttl soon", "--wait soon", "-E 256", "-E x"])(
    "%s is refused",
    async (words) => {
      await using daemon = await lockDaemon();
      expect((await run(`lock acquire ${words} a/b`, daemon)).exit).toBe(125);
      expect(daemon.requests).toEqual([]);
    },
  );

  test("are sent as they are meant", async () => {
    const requests: FakeRequest[] = [];
    await using daemon = await lockDaemon(requests);
    const line = "lock acquire -s -w 1.5 --pid 12 --ttl 5m --label x --volume assets publish";
    expect((await run(line, daemon)).stdout).toBe(`${token}\n`);
    expect(requests.at(-1)).toMatchObject({
      method: "POST",
      path: "/holdfast/v1/volumes/assets/locks/publish",
    });
    const body = JSON.parse(requests.at(-1)?.body ?? "");
    const life = { bond: "process", pid: 12, ttl: 300 };
    expect(body).toMatchObject({ mode: "shared", label: "x", ...life });
    expect(body.wait).toBeWithin(1, 1.51);
    await run(`lock release ${token}`, daemon);
    expect(requests.at(-1)).toMatchObject({
      method: "DELETE",
      path: `/holdfast/v1/volumes/assets/locks/publish/leases/${"1".repeat(32)}`,
    });
    await run("lock steal -f assets/publish", daemon);
    expect(requests.at(-1)).toMatchObject({
      method: "DELETE",
      path: "/holdfast/v1/volumes/assets/locks/publish?fence=1795677091429001",
    });
    expect((await run("lock steal -f assets/none", daemon)).exit).toBe(3);
  });

  test("are completed: locks that are held, and volumes", async () => {
    await using daemon = await lockDaemon();
    const words = async (line: string) => (await run(`__complete ${line}`, daemon)).stdout;
    expect(await words("lock run ass")).toBe("assets/publish\nassets/index\nassets/\n");
    expect(await words("lock ls --volume ")).toBe("assets\nb\n");
    expect(await words("lock run --on-lost ")).toBe("term\nkill\nignore\n");
    expect(await words("lock run b/x -- ")).toBe("");
  });
});

test("lock acquire bears that the daemon is restarted again and again meanwhile", async () => {
  let aheadMs = 0;
  const now = performance.now.bind(performance);
  using _clock = spyOn(performance, "now").mockImplementation(() => now() + aheadMs);
  const ids = new Set<unknown>();
  let waitCount = 0;
  await using daemon = await FakeDaemon.start(({ method, body }) => {
    if (method === "HEAD") return { status: 200 };
    ids.add(JSON.parse(body).id);
    aheadMs += 1_800_000;
    waitCount += 1;
    if (waitCount > 3) return json({ ...publish, id: "1".repeat(32) });
    return json({ code: "engine.stopping", message: "the daemon is shutting down" }, 503);
  });
  const { exit, stdout } = await run("lock acquire --pid 12 assets/publish", daemon);
  expect([exit, stdout, ids.size]).toEqual([0, `${token}\n`, 1]);
});
