// Protection, renaming, update, history, prune plans and cursors, as the command line has them.
import { describe, expect, test } from "bun:test";
import {
  type Answer,
  FakeDaemon,
  json,
  runWords,
  type Surroundings,
  shellWords,
} from "../../test/support/fake-daemon.ts";

async function run(line: string, daemon: FakeDaemon, surroundings: Surroundings = {}) {
  return await runWords(shellWords(line), daemon.host, surroundings);
}

/** The last request but the one for the version. */
function last(daemon: FakeDaemon): readonly [string, string, unknown] {
  const request = daemon.requests.filter(({ method }) => method !== "HEAD").at(-1);
  const body = request?.body ? JSON.parse(request.body) : undefined;
  return [request?.method ?? "", request?.path ?? "", body];
}

function daemonThat(answer: Answer): Promise<FakeDaemon> {
  return FakeDaemon.start((request, socket) => {
    if (request.method !== "HEAD") return answer(request, socket);
    return { status: 200, headers: { "Api-Version": "1.51" } };
  });
}

const onTerminal = { isTerminal: true, env: { NO_COLOR: "1" } };
const own = "/holdfast/v1/volumes";

test.each([
  'trash purge --yes ""',
  'trash restore ""',
  'trash inspect ""',
  'volume rm --purge --yes ""',
  'volume protect "" --reason tax',
  'volume unprotect ""',
  'volume rename "" b',
  'volume rename a ""',
  'volume history ""',
  'volume prune --apply ""',
])("%s is refused before the daemon is asked", async (line) => {
  await using daemon = await daemonThat(() => json({ message: "no such route" }, 404));
  const { exit, stderr } = await run(line, daemon);
  expect([exit, stderr]).toEqual([2, "a name or an id is needed, and this one is empty\n"]);
  expect(last(daemon)[0]).toBe("");
});

describe("volume protect", () => {
  const protection = { reason: "prod orders" };

  test("and unprotect want a reason, and the name once more", async () => {
    await using daemon = await daemonThat(() => json({ name: "pgdata", protection }));
    expect(await run("volume protect pgdata", daemon)).toMatchObject({ exit: 2, stdout: "" });
    const line = 'volume protect pgdata --reason "prod orders"';
    expect((await run(line, daemon)).stdout).toBe("pgdata\n");
    expect(last(daemon)).toEqual(["PUT", `${own}/pgdata/protection`, protection]);
    const asked = await run("volume unprotect pgdata", daemon, { ...onTerminal, input: "pgdata" });
    expect(asked.stderr).toStartWith("pgdata is protected (prod orders).\nType pgdata to go on: ");
    expect(last(daemon)[1]).toBe(`${own}/pgdata/protection?confirm=pgdata`);
    await run("volume unprotect pgdata --confirm pgdata", daemon);
    expect(last(daemon)[0]).toBe("DELETE");
    expect(await run("volume unprotect pgdata", daemon)).toMatchObject({ exit: 2, stdout: "" });
  });

  test("a refused removal ends by its kind, and says the way out on a terminal", async () => {
    const message = "remove pgdata: volume is protected: prod orders";
    await using daemon = await daemonThat(() => json({ message }, 409));
    const { stderr, exit } = await run("volume rm -f pgdata", daemon, onTerminal);
    expect([stderr, exit]).toEqual([
      `Error response from daemon: ${message}\n` +
        "Lift the protection, which wants the name again, with: holdfast volume unprotect NAME\n",
      1,
    ]);
  });

  test("is shown by ls on a terminal", async () => {
    const volume = { Driver: "local", Mountpoint: "/m", Scope: "local", Labels: null };
    const more = { firstUsedAt: null, lastUsedAt: null, holders: [], state: "idle" };
    const long = "x".repeat(50);
    await using daemon = await daemonThat(({ path }) =>
      path.startsWith("/holdfast/")
        ? json({
            volumes: [
              { name: "a", ...more, protection },
              { name: "b", ...more, protection: { reason: long } },
            ],
            next: null,
          })
        : json({ Volumes: ["a", "b"].map((Name) => ({ ...volume, Name, Options: null })) }),
    );
    const { stdout } = await run("volume ls", daemon, onTerminal);
    expect(stdout).toContain("idle, protected: prod orders  ");
    expect(stdout).toContain(`idle, protected: ${"x".repeat(39)}…  `);
  });
});

test("volume rename sends the new name, and whether the old one stays", async () => {
  await using daemon = await daemonThat(() => json({ name: "wiki-data" }));
  expect((await run("volume rename wiki wiki-data --keep-alias", daemon)).stdout).toBe(
    "wiki-data\n",
  );
  const body = { to: "wiki-data", keepAlias: true };
  expect(last(daemon)).toEqual(["POST", `${own}/wiki/rename`, body]);
  expect((await run("volume rename wiki", daemon)).exit).toBe(1);
});

describe("volume update", () => {
  test("changes labels, note and options", async () => {
    await using daemon = await daemonThat(() => json({ name: "wiki" }));
    const line =
      'volume update wiki --label-add owner=kim --label-add x --label-rm old --note "orders db" ' +
      "--opt-set trash=30d --opt-rm sharing";
    expect((await run(line, daemon)).stdout).toBe("wiki\n");
    expect(last(daemon)).toEqual([
      "PATCH",
      `${own}/wiki`,
      {
        labelsSet: { owner: "kim", x: "" },
        labelsRemoved: ["old"],
        note: "orders db",
        optionsSet: { trash: "30d" },
        optionsRemoved: ["sharing"],
      },
    ]);
    await run('volume update wiki --note ""', daemon);
    expect(last(daemon)[2]).toMatchObject({ note: null });
    await run("volume update wiki --label-rm x", daemon);
    expect(last(daemon)[2]).not.toHaveProperty("note");
  });

  test("without any of these is Docker's", async () => {
    await using daemon = await daemonThat(() => json({ Name: "wiki" }));
    const { stderr, exit } = await run("volume update wiki --availability pause", daemon);
    expect([stderr, exit]).toEqual(["can only update cluster volumes\n", 1]);
    expect(last(daemon).slice(0, 2)).toEqual(["GET", "/v1.51/volumes/wiki"]);
  });
});

const change = {
  cursor: "c-7",
  at: "2026-11-22T11:58:00.123Z",
  action: "remove",
  volume: "wiki",
  by: "docker (root)",
  subject: "t-9f2",
  outcome: "done",
};
const refused = { ...change, cursor: "c-6", by: "", subject: "", outcome: "volume.protected" };

describe("volume history", () => {
  test("is a table of who did what and how it ended, read in pages", async () => {
    await using daemon = await daemonThat(({ path }) =>
      path.includes("before=c-7")
        ? json({ changes: [refused], next: null })
        : json({ changes: [change], next: "c-7" }),
    );
    expect((await run("volume history wiki", daemon)).stdout).toBe(
      "TIME                   ACTION    BY              SUBJECT   OUTCOME\n" +
        "2026-11-22T11:58:00Z   remove    docker (root)   t-9f2     done\n" +
        "2026-11-22T11:58:00Z   remove    -               -         volume.protected\n",
    );
    const [line] = (await run("volume history wiki -n 1 --json", daemon)).stdout.split("\n");
    expect(JSON.parse(line ?? "")).toEqual(change);
    expect(last(daemon)[1]).toBe("/holdfast/v1/history?volume=wiki&count=1");
    expect((await run("volume history wiki --count 0", daemon)).exit).toBe(2);
  });
});

test("volume conflicts says where it does not go back far enough", async () => {
  const writers = [{ container: null, name: "web", program: "sh" }];
  const conflict = { at: "2026-10-15T20:00:02.000Z", file: "/page", writers, what: "both" };
  const watching = { state: "no", reason: null };
  const cut = "2026-10-15T20:00:01.500Z";
  for (const [more, words] of [
    [{ cut: null }, ""],
    [
      { cut },
      "Older ones than from 2026-10-15T20:00:01Z were not looked for: see " +
        "`holdfast volume history wiki`.\n",
    ],
  ] as const) {
    const answer = { conflicts: [conflict], ...more, watching, blind: ["mmap"] };
    await using daemon = await daemonThat(() => json(answer));
    const { stdout } = await run("volume conflicts wiki", daemon);
    const [, end] = stdout.split("\n\n");
    expect(end).toBe(`${words}Not watched now. Never seen are:\n  mmap\n`);
  }
});

describe("volume prune --plan", () => {
  const plan = {
    id: "p-7f3a1b",
    expiresAt: "2026-11-22T13:00:00Z",
    volumes: [
      {
        name: "ci",
        sizeBytes: 2_000_000,
        lastUsedAt: "2026-10-01T12:00:00Z",
        lastHolder: "ci_db_1",
        why: "unused for 52 days",
        fate: "trash until 2026-11-29",
      },
      { name: "old", sizeBytes: null, lastUsedAt: null, lastHolder: null, why: "never used" },
    ],
    kept: [{ name: "pgdata", why: "protected: prod orders" }],
  };
  const planned = "/holdfast/v1/prune-plans";

  test("shows what would go and why, and how to do it", async () => {
    await using daemon = await daemonThat(() => json(plan));
    const line = "volume prune --plan --unused-for 30d --larger 1G --filter label!=keep";
    expect((await run(line, daemon)).stdout).toBe(
      "NAME      SIZE      LAST USED     BY        WHY\n" +
        "ci        2MB       7 weeks ago   ci_db_1   unused for 52 days\n" +
        "old       -         never         -         never used\n" +
        "\n" +
        "KEPT      WHY\n" +
        "pgdata    protected: prod orders\n" +
        "\n" +
        "Plan p-7f3a1b: 2 volumes, 2MB (1 not measured). Nothing was removed; within the hour: " +
        "holdfast volume prune --apply p-7f3a1b\n",
    );
    expect(last(daemon)).toEqual([
      "POST",
      planned,
      {
        all: true,
        unusedForMs: 30 * 86_400_000,
        largerBytes: 1_073_741_824,
        drivers: [],
        projects: [],
        labels: [],
        withoutLabels: ["keep"],
        measure: true,
      },
    ]);
    await run("volume prune --plan", daemon);
    expect(last(daemon)[2]).toMatchObject({ all: false, measure: false });
    expect(JSON.parse((await run("volume prune --plan --json", daemon)).stdout)).toEqual(plan);
  });

  test("with nothing in it says so", async () => {
    await using daemon = await daemonThat(() => json({ ...plan, volumes: [] }));
    expect((await run("volume prune --plan", daemon)).stdout).toBe(
      "KEPT      WHY\npgdata    protected: prod orders\n\nNothing to do.\n",
    );
  });

  test("is applied as it is, and what stays is named", async () => {
    const removed = [{ name: "ci", trashId: "t-1", sizeBytes: 1 }];
    const skipped = [{ name: "old", why: "used\nsince" }];
    await using daemon = await daemonThat(() => json({ removed, skipped }));
    expect(await run("volume prune --apply p-7f3a1b", daemon)).toEqual({
      stdout: "ci\n",
      stderr: "left alone: old: used since\n",
      exit: 0,
    });
    expect(last(daemon).slice(0, 2)).toEqual(["POST", `${planned}/p-7f3a1b/apply`]);
  });

  test.each([
    ["volume prune --unused-for 30d", 2, "needs --plan"],
    ["volume prune --apply p-1 --all", 2, "--all belongs to --plan"],
    ["volume prune --apply p-1 --measure", 2, "--measure belongs to --plan"],
    ["volume prune --plan --filter name=x", 2, "invalid filter 'name'"],
    ["volume prune --plan --unused-for soon", 125, "as in 30d"],
    ["volume prune --plan --larger much", 125, "invalid size"],
  ])("%s is refused", async (line, code, text) => {
    await using daemon = await daemonThat(() => json(plan));
    const { stderr, exit } = await run(line, daemon);
    expect(exit).toBe(code);
    expect(stderr).toContain(text);
    expect(last(daemon)).toEqual(["", "", undefined]);
  });
});

describe("volume inspect --full", () => {
  test("prints what Holdfast's own API says, and what is missing at the end", async () => {
    await using daemon = await daemonThat(({ path }) =>
      path.endsWith("/wiki")
        ? json({ name: "wiki", history: [{ action: "create" }] })
        : json({ message: "get gone: no such volume", code: "volume.not_found" }, 404),
    );
    const { stdout, stderr, exit } = await run("volume inspect --full wiki gone", daemon);
    expect(JSON.parse(stdout)).toEqual([{ name: "wiki", history: [{ action: "create" }] }]);
    expect([exit, stderr.includes("no such volume")]).toEqual([3, true]);
    const lines = await run("volume inspect --full --json wiki", daemon);
    expect(lines.stdout).toBe('{"name":"wiki","history":[{"action":"create"}]}\n');
    const refused = await run("volume inspect --full -f '{{.Name}}' wiki", daemon);
    expect([refused.exit, refused.stdout]).toEqual([2, ""]);
  });
});

describe("events with cursors", () => {
  const lines = (...all: readonly object[]) => ({
    status: 200,
    body: all.map((each) => `${JSON.stringify(each)}\n`).join(""),
  });

  test("go on behind a change until now, with a word about what is missing", async () => {
    await using daemon = await daemonThat(() => lines({ gap: true }, refused, change));
    const { stdout, stderr } = await run("events --since c-3 --until 0m", daemon);
    expect(stdout).toBe(
      "c-6 2026-11-22T11:58:00.123Z remove wiki: volume.protected\n" +
        "c-7 2026-11-22T11:58:00.123Z remove wiki by docker (root) (t-9f2)\n",
    );
    expect(stderr).toBe("warning: not all changes behind c-3 are kept any more\n");
    expect(last(daemon)[1]).toBe("/holdfast/v1/events?after=c-3&follow=false");
  });

  test("are cut off and go on by themselves, behind the last line", async () => {
    let answers = 0;
    await using daemon = await daemonThat(({ path }, socket) => {
      answers += 1;
      if (answers > 1) return lines(...(path.includes("after=c-6") ? [] : [{ odd: path }]));
      const body = `${JSON.stringify(refused)}\n`;
      const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
      socket.end(`${head}${body.length.toString(16)}\r\n${body}\r\n`);
      return "raw";
    });
    const { stdout, stderr, exit } = await run("events --since c-5 --json", daemon);
    expect([stdout, stderr, exit]).toEqual([`${JSON.stringify(refused)}\n`, "", 0]);
  });

  test("are chosen by event and volume, and take a template", async () => {
    await using daemon = await daemonThat(() => lines(refused, { ...change, volume: "x" }));
    const template = 'events --cursor --until 0m --filter volume=x --format "{{.Cursor}} {{.By}}"';
    expect((await run(template, daemon)).stdout).toBe("c-7 docker (root)\n");
    expect(last(daemon)[1]).toBe("/holdfast/v1/events?follow=false");
    for (const line of [
      "events --cursor --since 10m",
      "events --cursor --until 2999-01-01",
      "events --cursor --filter type=volume",
    ]) {
      expect(await run(line, daemon)).toMatchObject({ exit: 2, stdout: "" });
    }
  });
});
