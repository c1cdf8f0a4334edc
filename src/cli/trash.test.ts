// The trash on the command line: the list as people read it, and what cannot be undone.
import { describe, expect, test } from "bun:test";
import {
  FakeDaemon,
  type FakeRequest,
  json,
  runWords,
  type Surroundings,
} from "../../test/support/fake-daemon.ts";
import { shortIds } from "./trash.ts";

const id = (start: string): string => `t-${start}`.padEnd(18, "0");

const kept = {
  id: id("9f2a"),
  name: "pgdata",
  driver: "local",
  phase: "kept",
  sizeBytes: 4_200_000_000,
  removedAt: "2026-11-22T11:58:00Z",
  removedBy: "dockerd",
  purgesAt: "2026-11-29T11:58:00Z",
  protection: null,
  aliases: ["orders"],
};
const entries = [
  kept,
  { ...kept, id: id("9f2b"), name: "wiki", sizeBytes: null, purgesAt: null, removedBy: "" },
  { ...kept, id: id("0c1"), name: "ci", phase: "purging", sizeBytes: 1_000, purgesAt: null },
  { ...kept, id: id("77"), name: "books", protection: { reason: "tax" } },
];

/** Two entries a page. */
function trashDaemon(answer: (request: FakeRequest) => object | undefined = () => undefined) {
  return FakeDaemon.start((request) => {
    const { path } = request;
    const own = answer(request);
    if (own !== undefined) return "message" in own ? json(own, 409) : json(own);
    if (request.method === "DELETE") return { status: 204 };
    if (path.startsWith("/holdfast/v1/trash/")) {
      const ref = path.split("/")[4]?.split("?")[0] ?? "";
      const found = entries.find((entry) => entry.name === ref || entry.id.startsWith(ref));
      return found ? json(found) : json({ message: "no", code: "trash.not_found" }, 404);
    }
    const at = Number(/after=(\d+)/.exec(path)?.[1] ?? 0);
    const next = at + 2 < entries.length ? String(at + 2) : null;
    const totals = { entries: 4, purging: 1, knownBytes: 8_400_001_000, unmeasured: 1 };
    return json({ entries: entries.slice(at, at + 2), next, totals });
  });
}

async function run(line: string, daemon: FakeDaemon, surroundings: Surroundings = {}) {
  return await runWords(line.split(" "), daemon.host, surroundings);
}

const onTerminal = { isTerminal: true, env: { NO_COLOR: "1" } };

describe("trash ls", () => {
  test("says what was removed, by whom, and until when it stays", async () => {
    await using daemon = await trashDaemon();
    expect((await run("trash ls", daemon)).stdout).toBe(
      "ID        NAME      SIZE      REMOVED         BY        PURGES\n" +
        "t-9f2a    pgdata    4.2GB     2 minutes ago   dockerd   in 7 days\n" +
        "t-9f2b    wiki      -         2 minutes ago   -         never\n" +
        "t-0c1     ci        1kB       2 minutes ago   dockerd   purging\n" +
        "t-770     books     4.2GB     2 minutes ago   dockerd   never (protected)\n",
    );
  });

  test("prints ids, whole ones, JSON and templates where they are asked for", async () => {
    await using daemon = await trashDaemon();
    expect((await run("trash ls -q", daemon)).stdout).toBe("t-9f2a\nt-9f2b\nt-0c1\nt-770\n");
    const whole = (await run("trash ls -q --no-trunc", daemon)).stdout;
    expect(whole).toBe(entries.map((entry) => `${entry.id}\n`).join(""));
    const lines = (await run("trash ls --json", daemon)).stdout.split("\n");
    expect(lines.slice(0, -1).map((line) => JSON.parse(line))).toEqual(entries);
    const template = await run("trash list --format {{.Name}}={{.Reason}}", daemon);
    expect(template.stdout).toEndWith("books=tax\n");
  });

  test.each<[readonly string[], readonly string[]]>([
    [["t-abcdef"], ["t-abc"]],
    [
      ["t-abcdef", "t-abcdff"],
      ["t-abcde", "t-abcdf"],
    ],
    [
      ["t-abcdff", "t-123456", "t-abcdef"],
      ["t-abcdf", "t-123", "t-abcde"],
    ],
    [[], []],
  ])("ids %p are shown as %p", (ids, short) => {
    const found = shortIds(ids);
    expect(ids.map((each) => found.get(each))).toEqual([...short]);
  });
});

describe("trash inspect", () => {
  test("prints the whole entry, with the aliases that it had", async () => {
    await using daemon = await trashDaemon();
    const { stdout } = await run("trash inspect pgdata", daemon);
    expect(JSON.parse(stdout)).toEqual([{ ...kept, aliases: ["orders"] }]);
    expect((await run("trash inspect pgdata --json", daemon)).stdout).toBe(
      `${JSON.stringify(kept)}\n`,
    );
  });
});

describe("trash restore", () => {
  test("prints the name, and sends another one where it is given", async () => {
    await using daemon = await trashDaemon(({ method, body }) => {
      return method === "POST" ? { name: JSON.parse(body).as ?? "pgdata" } : undefined;
    });
    expect((await run("trash restore pgdata", daemon)).stdout).toBe("pgdata\n");
    expect((await run("trash restore t-9f2a --as old", daemon)).stdout).toBe("old\n");
    expect(daemon.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /holdfast/v1/trash/pgdata/restore",
      "POST /holdfast/v1/trash/t-9f2a/restore",
    ]);
  });

  test("over a volume that is there says what to type", async () => {
    await using daemon = await trashDaemon(({ method }) => {
      const refusal = { message: "restore pgdata: a volume has this name" };
      return method === "POST" ? { ...refusal, code: "volume.name_taken" } : undefined;
    });
    const { stderr, exit } = await run("trash restore pgdata", daemon);
    expect(stderr).toBe(
      "Error response from daemon: restore pgdata: a volume has this name\n" +
        "Choose another name: holdfast trash restore pgdata --as NAME\n",
    );
    expect(exit).toBe(4);
  });

  test("of what is not there ends with 3", async () => {
    await using daemon = await FakeDaemon.start(() =>
      json({ message: "nothing is called x", code: "trash.not_found", recovery: "Look." }, 404),
    );
    expect(await run("trash restore x", daemon)).toMatchObject({ exit: 3 });
  });
});

describe("trash purge", () => {
  const deleted = (daemon: FakeDaemon): readonly string[] =>
    daemon.requests.filter(({ method }) => method === "DELETE").map(({ path }) => path);

  test("wants the name typed, and does nothing without it", async () => {
    await using daemon = await trashDaemon();
    const wrong = await run("trash purge t-9f2a", daemon, { ...onTerminal, input: "yes" });
    expect(wrong).toMatchObject({ stdout: "", exit: 2 });
    expect(wrong.stderr).toStartWith(
      `This destroys pgdata (${kept.id}, 4.2GB), for good.\nType pgdata to go on: `,
    );
    expect((await run("trash purge pgdata", daemon)).stderr).toContain("Add --yes");
    expect(deleted(daemon)).toEqual([]);
    const typed = await run("trash purge t-9f2a", daemon, { ...onTerminal, input: "pgdata" });
    expect(typed).toMatchObject({ stdout: `${kept.id}\n`, exit: 0 });
    expect(deleted(daemon)).toEqual([`/holdfast/v1/trash/${kept.id}?confirm=pgdata`]);
  });

  test("of all asks once, with what it comes to, and leaves what is protected", async () => {
    await using daemon = await trashDaemon();
    const typed = await run("trash purge --all", daemon, { ...onTerminal, input: "all" });
    expect(typed.stderr).toStartWith(
      "This destroys 2 volumes with at least 4.2GB in the trash (1 of them kept there until " +
        "somebody purges), for good. " +
        "1 more are protected, and stay.\n",
    );
    expect(typed.stdout).toBe(`${id("9f2a")}\n${id("9f2b")}\n`);
    const waited = await run("trash purge --all --yes --wait", daemon, onTerminal);
    expect(waited.stderr).toContain(`destroying pgdata (${kept.id}, 4.2GB) (1/2) …\r\x1b[K`);
    expect(deleted(daemon).at(-1)).toEndWith("confirm=wiki&wait=true");
    expect((await run("trash purge --all --yes --wait", daemon)).stderr).toBe("");
  });

  test("wants either entries or --all", async () => {
    await using daemon = await trashDaemon();
    for (const line of ["trash purge", "trash purge --all pgdata"]) {
      expect(await run(line, daemon)).toMatchObject({ exit: 2, stdout: "" });
    }
  });

  test("goes on behind a failure, and ends by its kind", async () => {
    await using daemon = await trashDaemon(({ method, path }) => {
      const isFirst = method === "DELETE" && path.includes("confirm=pgdata");
      return isFirst ? { message: "in use", code: "volume.in_use" } : undefined;
    });
    const { stdout, exit } = await run("trash purge --yes pgdata wiki", daemon);
    expect({ stdout, exit }).toEqual({ stdout: `${id("9f2b")}\n`, exit: 4 });
  });
});

describe("trash protect and unprotect", () => {
  test("want a reason, and the name", async () => {
    await using daemon = await trashDaemon(({ method }) =>
      method === "PUT" || method === "DELETE" ? kept : undefined,
    );
    expect(await run("trash protect pgdata", daemon)).toMatchObject({ exit: 2 });
    expect((await run("trash protect pgdata --reason tax", daemon)).stdout).toBe("pgdata\n");
    expect(daemon.requests.at(-1)).toMatchObject({ method: "PUT", body: '{"reason":"tax"}' });
    expect((await run("trash unprotect pgdata", daemon)).exit).toBe(2);
    const confirmed = await run("trash unprotect t-9f2a --confirm pgdata", daemon);
    expect(confirmed).toMatchObject({ stdout: "pgdata\n", exit: 0 });
    await run("trash unprotect pgdata", daemon, { ...onTerminal, input: "pgdata" });
    expect(daemon.requests.at(-1)?.path).toEndWith("/pgdata/protection?confirm=pgdata");
  });
});

test("completion offers names and ids", async () => {
  await using daemon = await trashDaemon();
  const { stdout } = await runWords(["__complete", "trash", "restore", ""], daemon.host);
  const names = ["books", "ci", "pgdata", "wiki"];
  expect(stdout).toBe([...names, ...entries.map((entry) => entry.id)].join("\n").concat("\n"));
});

describe("after a removal", () => {
  const daemonOf = () =>
    trashDaemon(({ path }) => (path.includes("name=") ? { entries: [kept] } : undefined));

  test("a terminal is told where the volume is, and nobody else", async () => {
    await using daemon = await daemonOf();
    const nowMs = Date.parse(kept.removedAt);
    const shown = await run("volume rm pgdata", daemon, { ...onTerminal, nowMs });
    expect(shown).toEqual({
      stdout: "pgdata\n",
      stderr: "pgdata is in the trash until 2026-11-29 11:58 UTC: holdfast trash restore pgdata\n",
      exit: 0,
    });
    expect((await run("volume rm pgdata", daemon, { nowMs })).stderr).toBe("");
  });

  test("an older one of that name is not taken for it", async () => {
    await using daemon = await daemonOf();
    expect((await run("volume rm pgdata", daemon, onTerminal)).stderr).toBe("");
  });
});

test("volume rm --purge wants the name, and says it to the daemon", async () => {
  await using daemon = await trashDaemon();
  expect(await run("volume rm --purge wiki", daemon)).toMatchObject({ stdout: "", exit: 2 });
  expect(await run("volume rm --yes wiki", daemon)).toMatchObject({ stdout: "", exit: 2 });
  expect(daemon.requests).toEqual([]);
  expect((await run("volume rm --purge --yes wiki", daemon)).stdout).toBe("wiki\n");
  const removal = daemon.requests.findLast(({ method }) => method === "DELETE");
  expect(removal?.path).toBe("/holdfast/v1/volumes/wiki?purge=true&confirm=wiki");
});

describe("what is on a server is not said to be destroyed where it is not", () => {
  const options = { server: "nas.lan", path: "/export", subpath: "a/media" };
  const base = { ...kept, id: id("5"), name: "media", driver: "nfs", sizeBytes: null, options };
  const daemonOf = (origin?: "made" | "adopted") => {
    const media = origin === undefined ? base : { ...base, origin };
    return trashDaemon(({ method, path }) => {
      if (method === "DELETE") return undefined;
      if (method === "POST") return { Name: "media", Driver: "nfs", Options: options };
      if (path.includes("/v1/volumes/")) return { ...media, storage: { server: "nas.lan" } };
      if (!path.includes("/v1/trash")) return undefined;
      const isList = path.includes("name=") || path.endsWith("/trash");
      return isList ? { entries: [media], next: null, totals: {} } : media;
    });
  };

  test("by a removal", async () => {
    await using daemon = await daemonOf();
    const nowMs = Date.parse("2026-11-22T11:57:59Z");
    const { stderr } = await run("volume rm media", daemon, { ...onTerminal, nowMs });
    expect(stderr).toContain(" UTC, its data stays on the server: holdfast trash restore media");
  });

  test.each([
    [undefined, "if Holdfast has made it and no other volume has it"],
    [
      "made",
      "it destroys a/media, which Holdfast has made, unless another volume or host has used",
    ],
    ["adopted", "Its data was on the server before, and stays"],
  ] as const)("by a purge of what is %p", async (origin, words) => {
    await using daemon = await daemonOf(origin);
    for (const line of ["volume rm --purge media", "trash purge media"]) {
      const { stderr } = await run(line, daemon, { ...onTerminal, input: "no\n" });
      expect(stderr).toContain(words);
      expect(stderr).toStartWith("This removes media");
    }
  });

  test.each([
    [undefined, "directories that Holdfast has made and no other volume has"],
    ["made", "it destroys the directory of 1 that Holdfast has made"],
    ["adopted", "On servers it destroys nothing; the data of 1 stays there."],
  ] as const)("by a purge of all that is %p", async (origin, words) => {
    await using daemon = await daemonOf(origin);
    const { stderr } = await run("trash purge --all", daemon, { ...onTerminal, input: "no\n" });
    expect(stderr).toContain(words);
  });

  test("a purge that waits for its server says so, and so does the list", async () => {
    const waiting = { ...base, phase: "purging", waitingFor: "nas.lan: no route\n to host" };
    await using daemon = await trashDaemon(({ method, path }) => {
      if (method === "DELETE" || !path.includes("/v1/trash")) return undefined;
      const isList = path.includes("name=") || path.endsWith("/trash");
      return isList ? { entries: [waiting], next: null, totals: {} } : waiting;
    });
    const line =
      `media (${base.id}) is not destroyed yet, and is tried again: ` +
      "nas.lan: no route to host\n";
    for (const words of ["trash purge --yes media", "volume rm --purge --yes media"]) {
      expect(await run(words, daemon)).toMatchObject({ stderr: line, exit: 0 });
    }
    const { stdout } = await run("trash ls", daemon);
    expect(stdout).toContain("purging (nas.lan: no route to host)");
  });

  test("a create says to people which of both it has done", async () => {
    const line = "volume create -d nfs -o server=nas.lan -o path=/export media";
    for (const [origin, words] of [
      ["made", "made a/media on the server: a purge destroys it\n"],
      ["adopted", "adopted what is there: no removal and no purge destroys it\n"],
    ] as const) {
      await using daemon = await daemonOf(origin);
      const { stdout, stderr } = await run(line, daemon, onTerminal);
      expect(stdout).toBe("media\n");
      expect(stderr).toEndWith(words);
      expect((await run(line, daemon)).stderr).toBe("");
    }
  });
});

test("volume flush says once what is left, and takes it away in the end", async () => {
  const left = `${JSON.stringify({ files: 2, bytes: 5 })}\n`;
  const body = `${left}${left}{"files":0,"bytes":0}\n`;
  await using daemon = await FakeDaemon.start(() => ({ status: 200, body }));
  const { stdout, stderr } = await run("volume flush assets", daemon, onTerminal);
  expect(stdout).toBe("assets\n");
  expect(stderr).toBe("\r\x1b[Kassets: 2 files (5B) not on the server yet …\r\x1b[K");
});

test("volume flush says why it waits, once, and gives up after its time", async () => {
  const line = (state: object) => `${JSON.stringify({ files: 2, bytes: 5, ...state })}\n`;
  const away = line({ state: "unreachable", reason: "timed out" });
  const body = `${away}${away}${line({ state: "ready", reason: null })}{"files":0,"bytes":0}\n`;
  await using daemon = await FakeDaemon.start(() => ({ status: 200, body }));
  const { stdout, stderr } = await run("volume flush assets", daemon);
  expect(stdout).toBe("assets\n");
  expect(stderr).toBe(
    "assets: its storage is unreachable (timed out)\nassets: its storage answers again\n",
  );
  await using silent = await FakeDaemon.start(({ path }, socket) => {
    if (!path.includes("flush")) return { status: 200 };
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${away}`);
    return "raw";
  });
  const late = await run("volume flush --timeout 1 assets", silent);
  expect(late).toMatchObject({ stdout: "", exit: 4 });
  expect(late.stderr).toContain(
    "flush assets: after 1 seconds 2 files (5B) not on the server yet; its storage is " +
      "unreachable (timed out)",
  );
  expect(await run("volume flush --timeout soon assets", daemon)).toMatchObject({ exit: 2 });
});

test("df has a line for the trash, but not in a format that was asked for", async () => {
  await using daemon = await trashDaemon(({ path }) =>
    path.includes("/system/df") || path.includes("/v1/volumes")
      ? { Volumes: [], volumes: [], next: null }
      : undefined,
  );
  const plain = (await run("df", daemon)).stdout.split("\n");
  expect(plain[2]).toBe("Trash           4         0         8.4GB     8.4GB (100%)");
  expect((await run("df --format {{.Type}}", daemon)).stdout).toBe("Local Volumes\n");
});
