// Who has a volume, as `volume ls` says it on a terminal; and the engines that are asked.
import { describe, expect, test } from "bun:test";
import { FakeDaemon, json, runWords } from "../../test/support/fake-daemon.ts";
import { holdersText, type OwnHolder, stateText } from "./own-volume.ts";

const id = "6fe1".padEnd(64, "0");
const volumes = ["v10", "v2", "v1", "v3"].map((Name) => ({
  Name,
  Driver: "local",
  Mountpoint: `/m/${Name}`,
  Scope: "local",
  CreatedAt: "2026-11-22T11:00:00Z",
  Labels: null,
  Options: null,
}));

function holder(more: Partial<OwnHolder>): OwnHolder {
  const nothing = { name: null, project: null, engine: null, since: null, reason: null };
  return { id, state: "running", access: "rw", ...nothing, ...more };
}

const used = { firstUsedAt: "2026-11-22T10:00:00Z", lastUsedAt: "2026-11-22T11:55:00Z" };
const never = { firstUsedAt: null, lastUsedAt: null };
const db = holder({ name: "db", project: "shop" });
const broken = holder({ id: id.replace("6", "7"), name: "x", reason: "breaks sharing=none" });
const own = [
  { name: "v1", state: "idle", ...never, holders: [] },
  { name: "v10", state: "data missing", ...used, holders: [] },
  { name: "v2", state: "in use", ...used, holders: [db] },
  { name: "v3", state: "violated", ...used, holders: [db, broken] },
];

/** A Holdfast with these volumes, one page for each of its own answers. */
function daemon(): Promise<FakeDaemon> {
  return FakeDaemon.start(({ path }) => {
    if (path.startsWith("/holdfast/v1/volumes?after=")) {
      const after = path.slice(path.indexOf("=") + 1);
      const index = own.findIndex(({ name }) => name > after);
      const next = index < own.length - 1 ? (own[index]?.name ?? null) : null;
      return json({ volumes: own.slice(index, index + 1), next });
    }
    const name = path.slice(path.lastIndexOf("/") + 1);
    const from = path.startsWith("/holdfast/") ? own : undefined;
    const one = from?.find((each) => each.name === name);
    if (one !== undefined) return json(one);
    const docker = volumes.find((each) => each.Name === name);
    return json(docker ?? { Volumes: volumes });
  });
}

const onTerminal = { isTerminal: true, env: { NO_COLOR: "1" } };

describe("the state of a plugin's volume", () => {
  const nowMs = Date.parse("2026-11-22T12:00:00Z");
  const volume = { name: "v", ...never, holders: [] };

  test("says since when and why it cannot be used", () => {
    const stateSince = "2026-11-22T11:48:00Z";
    const unreachable = { state: "unreachable", stateSince, stateReason: "connection\nrefused" };
    expect(stateText({ ...volume, ...unreachable }, nowMs)).toBe(
      "UNREACHABLE 12m (connection refused)",
    );
    const shared = { state: "shared database", stateSince, stateReason: "PostgreSQL 15: db, db2" };
    expect(stateText({ ...volume, ...shared }, nowMs)).toBe(
      "SHARED DATABASE 12m (PostgreSQL 15: db, db2)",
    );
    const disabled = { state: "disabled", stateSince, stateReason: null };
    // Of storage the server says more than that it did not answer.
    const silent = { ...unreachable, storage: { server: "10.0.0.5" } };
    expect(stateText({ ...volume, ...silent }, nowMs)).toMatch(/^UNREACHABLE \S+ \(10\.0\.0\.5\)$/);
    expect(stateText({ ...volume, ...disabled }, nowMs)).toBe("DISABLED 12m");
    const protection = { reason: "prod" };
    const gone = { state: "gone", stateSince: "2026-11-20T11:00:00Z", stateReason: null };
    expect(stateText({ ...volume, ...gone, protection }, nowMs)).toBe("GONE 2d, protected: prod");
  });
});

describe("volume ls on a terminal", () => {
  test("says what each volume is doing, who has it, and when it was used last", async () => {
    await using holdfast = await daemon();
    const plain = await runWords(["volume", "ls"], holdfast.host, onTerminal);
    expect(plain.stdout).toBe(
      "NAME      DRIVER    STATE          HOLDERS                                     LAST USED\n" +
        "v1        local     idle           -                                           never\n" +
        "v2        local     in use         shop/db (rw)                                now\n" +
        "v3        local     violated       x (rw, breaks sharing=none), shop/db (rw)   now\n" +
        "v10       local     data missing   -                                           " +
        "5 minutes ago\n",
    );
  });

  test("cuts holders and states where the terminal is narrow, and no name", async () => {
    await using holdfast = await daemon();
    const lines = async (columns: number) => {
      const outcome = await runWords(["volume", "ls"], holdfast.host, { ...onTerminal, columns });
      return outcome.stdout.split("\n");
    };
    const whole = await lines(1_000);
    expect(await lines(92)).toEqual(whole);
    const narrow = await lines(70);
    expect(narrow[3]).toBe("v3        local     violated       x (rw, breaks shar…   now");
    expect(Math.max(...narrow.map((line) => line.length))).toBe(70);
    // There is an end to it.
    expect((await lines(10))[3]).toBe("v3        local     violated       x (rw, breaks s…   now");
  });

  test("shows in red what somebody has to look at, on a terminal only", async () => {
    await using holdfast = await daemon();
    const coloured = await runWords(["volume", "ls"], holdfast.host, { isTerminal: true });
    expect(coloured.stdout).toStartWith("\x1b[1mNAME");
    expect(coloured.stdout).toContain("local     \x1b[31mviolated\x1b[39m       x (rw");
    expect(coloured.stdout.split("\x1b[31m")).toHaveLength(3);
    const piped = await runWords(["volume", "ls"], holdfast.host);
    expect(piped.stdout).toBe(
      "DRIVER    VOLUME NAME\nlocal     v1\nlocal     v2\nlocal     v3\nlocal     v10\n",
    );
  });

  test("works with a daemon that is not ours", async () => {
    await using other = await FakeDaemon.start(({ path }) =>
      path.startsWith("/v1.51/")
        ? json({ Volumes: volumes.slice(0, 1) })
        : json({ message: "page not found" }, 404),
    );
    const { stdout } = await runWords(["volume", "ls"], other.host, onTerminal);
    expect(stdout).toEndWith("\nv10       local     -         -         -\n");
  });
});

describe("the holders of a volume in one line", () => {
  test.each<[string, readonly OwnHolder[]]>([
    ["-", []],
    ["db (rw)", [holder({ name: "db" })]],
    ["shop/web (ro)", [holder({ name: "web", project: "shop", access: "ro" })]],
    ["6fe100000000 (rw)", [holder({})]],
    ["process 12 (ro)", [holder({ id: "process 12", access: "ro" })]],
    ["db (stopped)", [holder({ name: "db", state: "stopped" })]],
    ["6fe100000000 (starting)", [holder({ state: "starting", access: null })]],
    ["6fe100000000 (stale)", [holder({ state: "stale", access: null, reason: "it is busy" })]],
    ["client c1", [holder({ id: "c1", state: "client", access: null })]],
    ["a (rw), b (rw), c (rw), +2", ["a", "b", "c", "d", "e"].map((name) => holder({ name }))],
    ["x (rw, breaks sharing=none), shop/db (rw)", [db, broken]],
  ])("%s", (text, holders) => {
    expect(holdersText(holders)).toBe(text);
  });
});

describe("engine", () => {
  const engines = [
    { key: "docker:/run/docker.sock", since: "2026-11-22T11:00:00Z", containers: 2, error: null },
    { key: "podman:/run/p", since: "2026-11-20T11:00:00Z", containers: null, error: "no answer" },
  ];

  test("ls says who is asked before a removal, and who answers", async () => {
    await using holdfast = await FakeDaemon.start(() => json({ engines }));
    expect((await runWords(["engine", "ls"], holdfast.host)).stdout).toBe(
      "ENGINE                    CONTAINERS   SINCE               STATUS\n" +
        "docker:/run/docker.sock   2            About an hour ago   answers\n" +
        "podman:/run/p             -            2 days ago          does not answer: no answer\n",
    );
    const quiet = await runWords(["engine", "ls", "-q"], holdfast.host);
    expect(quiet.stdout).toBe("docker:/run/docker.sock\npodman:/run/p\n");
    const template = ["engine", "ls", "--format", "{{.Key}}={{.Error}}"];
    expect((await runWords(template, holdfast.host)).stdout).toEndWith("podman:/run/p=no answer\n");
    const lines = (await runWords(["engine", "ls", "--json"], holdfast.host)).stdout.split("\n");
    expect(JSON.parse(lines[1] ?? "")).toEqual(engines[1]);
  });

  test("forget names the engine in one segment of the path, and says what it forgot", async () => {
    await using holdfast = await FakeDaemon.start(() => ({ status: 204 }));
    const [first] = engines;
    const forgotten = await runWords(["engine", "forget", first?.key ?? ""], holdfast.host);
    expect(forgotten).toEqual({ stdout: "docker:/run/docker.sock\n", stderr: "", exit: 0 });
    const line = ["engine", "forget", "--force", "--json", first?.key ?? ""];
    expect((await runWords(line, holdfast.host)).stdout).toBe(
      '{"key":"docker:/run/docker.sock","forgotten":true}\n',
    );
    expect(holdfast.requests.map(({ method }) => method)).toEqual(["DELETE", "DELETE"]);
    expect(holdfast.requests[1]?.path).toEndWith("docker.sock?force=true");
  });

  test("a refusal ends by its kind, with the way out", async () => {
    await using holdfast = await FakeDaemon.start(() =>
      json({ message: 'no engine "x" is known', code: "engine.unknown" }, 404),
    );
    const { stderr, exit } = await runWords(["engine", "forget", "x"], holdfast.host);
    expect(stderr).toBe(
      'Error response from daemon: no engine "x" is known\n' +
        "List the container engines with `holdfast engine ls`.\n",
    );
    expect(exit).toBe(3);
  });

  test("completion offers the keys", async () => {
    await using holdfast = await FakeDaemon.start(() => json({ engines }));
    const { stdout } = await runWords(["__complete", "engine", "forget", "d"], holdfast.host);
    expect(stdout).toBe("docker:/run/docker.sock\n");
  });
});
