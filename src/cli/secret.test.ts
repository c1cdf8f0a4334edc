// Secrets on the command line: what is listed, what is sent, and what is never printed.
import { describe, expect, test } from "bun:test";
import {
  FakeDaemon,
  type FakeRequest,
  json,
  runWords,
  type Surroundings,
} from "../../test/support/fake-daemon.ts";

const nas = {
  name: "nas",
  createdAt: "2026-11-20T12:00:00Z",
  updatedAt: "2026-11-22T11:58:00Z",
  problem: null,
  volumes: ["media", "photos"],
  trash: [],
};
const office = { ...nas, name: "office", volumes: [], trash: ["scans"] };
const put = { ...nas, replaced: true, refreshed: [], unreadable: [] };

function secretDaemon(
  secrets: readonly object[] = [nas, office],
  requests: FakeRequest[] = [],
  answer: object = put,
) {
  return FakeDaemon.start((request) => {
    requests.push(request);
    const { path, method } = request;
    if (path === "/holdfast/v1/secrets") return json({ secrets });
    if (method === "PUT") return json(answer);
    const name = path.split("/").at(-1) ?? "";
    const found = [nas, office].find((each) => each.name === name);
    if (found !== undefined) return json(found);
    return json({ message: `there is no secret ${name}`, code: "secret.not_found" }, 404);
  });
}

function run(line: string, daemon: FakeDaemon, surroundings: Surroundings = {}) {
  return runWords(line.split(" "), daemon.host, surroundings);
}

/** What a request to keep a secret has in it. */
function sent(requests: readonly FakeRequest[]): object {
  const { value, ...rest } = JSON.parse(requests.at(-1)?.body ?? "{}");
  return { ...rest, value: atob(value) };
}

const onTerminal = { isTerminal: true, env: { NO_COLOR: "1" } };

describe("secret ls", () => {
  test("shows who logs in with each, and what is wrong where something is", async () => {
    await using daemon = await secretDaemon();
    expect((await run("secret ls", daemon)).stdout).toBe(
      "NAME      CREATED      UPDATED         VOLUMES\n" +
        "nas       2 days ago   2 minutes ago   media, photos\n" +
        "office    2 days ago   2 minutes ago   -\n",
    );
    await using wrong = await secretDaemon([{ ...nas, problem: "its file is damaged" }, office]);
    expect((await run("secret list", wrong)).stdout).toBe(
      "NAME      CREATED      UPDATED         VOLUMES         PROBLEM\n" +
        "nas       2 days ago   2 minutes ago   media, photos   its file is damaged\n" +
        "office    2 days ago   2 minutes ago   -               -\n",
    );
  });

  test("prints names, JSON and templates where they are asked for", async () => {
    await using daemon = await secretDaemon();
    expect((await run("secret ls -q", daemon)).stdout).toBe("nas\noffice\n");
    const lines = (await run("secret ls --json", daemon)).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([nas, office]);
    const template = await run("secret ls --format {{.Name}}:{{.Problem}}", daemon);
    expect(template.stdout).toBe("nas:-\noffice:-\n");
  });
});

describe("secret create", () => {
  test("sends what is read, byte for byte, and prints the name", async () => {
    const requests: FakeRequest[] = [];
    await using daemon = await secretDaemon([], requests);
    const outcome = await run("secret create nas", daemon, { input: "hunter2\n" });
    expect(outcome).toEqual({ stdout: "nas\n", stderr: "", exit: 0 });
    expect(requests.at(-1)).toMatchObject({ method: "PUT", path: "/holdfast/v1/secrets/nas" });
    expect(sent(requests)).toEqual({ value: "hunter2\n", replace: false });
    await run("secret create --replace nas -", daemon, { input: "x" });
    expect(sent(requests)).toEqual({ value: "x", replace: true });
  });

  test("asks on a terminal, twice", async () => {
    const requests: FakeRequest[] = [];
    await using daemon = await secretDaemon([], requests);
    const typed = { ...onTerminal, hidden: ["hunter2", "hunter2"] };
    const { stderr, exit } = await run("secret create nas", daemon, typed);
    expect([stderr, exit]).toEqual(["secret (it is not shown): once more: ", 0]);
    expect(sent(requests)).toMatchObject({ value: "hunter2" });
    for (const hidden of [[], [""], ["hunter2", "hunter3"], ["hunter2"]]) {
      const wrong = await run("secret create nas", daemon, { ...onTerminal, hidden });
      expect([hidden, wrong.exit, wrong.stdout]).toEqual([hidden, 2, ""]);
      expect(wrong.stderr).not.toContain("hunter");
    }
    expect(requests).toHaveLength(1);
  });

  test.each([
    ["--field username=bob", "hunter2\n", "username=bob\npassword=hunter2\n"],
    ["--field password", "hunter2", "password=hunter2\n"],
    [
      "--field access_key_id=AK --field secret_access_key",
      "s3",
      "access_key_id=AK\nsecret_access_key=s3\n",
    ],
    ["--field a --field pass", "one\r\ntwo\r\n", "a=one\npass=two\n"],
    ["--field note=a=b", " p=q ", "note=a=b\npassword= p=q \n"],
  ])("writes fields: %s", async (words, input, value) => {
    const requests: FakeRequest[] = [];
    await using daemon = await secretDaemon([], requests);
    expect(await run(`secret create nas ${words}`, daemon, { input })).toMatchObject({ exit: 0 });
    expect(sent(requests)).toMatchObject({ value });
  });

  test.each([
    ["--field password=hunter2", "x", "write --field password alone"],
    ["--field api_token=hunter2", "x", "write --field api_token alone"],
    ["--field =hunter2", "x", "NAME=VALUE or NAME"],
    ["--field user=bob", "hunter2\nhunter2\n", "password"],
    ["--field user=bob", "", "password"],
    ["hunter2", "", "a value itself is never an argument"],
    ["", "hunter2".repeat(10_000), "at most 65536 bytes"],
  ])("refuses without repeating the value: %s", async (words, input, why) => {
    const requests: FakeRequest[] = [];
    await using daemon = await secretDaemon([], requests);
    const line = `secret create nas ${words}`.trim();
    const { stdout, stderr, exit } = await run(line, daemon, { input });
    expect([stdout, stderr, exit]).toEqual(["", expect.stringContaining(why), 2]);
    expect(stderr).not.toContain("hunter2");
    expect(requests).toEqual([]);
  });

  test("says which volumes have not got it, and which other secrets are lost", async () => {
    const refreshed = [
      { volume: "media", outcome: "failed", reason: "the server says no" },
      { volume: "music", outcome: "updated", reason: null },
      { volume: "photos", outcome: "next mount", reason: null },
    ];
    await using daemon = await secretDaemon([], [], { ...put, refreshed, unreadable: ["s3"] });
    const { stdout, stderr, exit } = await run("secret create --replace nas", daemon, {
      input: "x",
    });
    expect([stdout, exit]).toEqual(["nas\n", 8]);
    expect(stderr.split("\n")).toEqual([
      "warning: media has not taken it: the server says no",
      "photos goes on with the old value until nobody has it mounted: restart its containers",
      expect.stringMatching(/^warning: cannot be read.*: s3$/),
      "",
    ]);
    const whole = await run("secret create --replace --json nas", daemon, { input: "x" });
    expect([JSON.parse(whole.stdout).refreshed, whole.stderr]).toEqual([refreshed, ""]);
  });
});

test("secret rm removes what it can, warns of the trash, and says what was meant", async () => {
  await using daemon = await secretDaemon();
  const { stdout, stderr, exit } = await run("secret rm office offise nas", daemon, onTerminal);
  expect([stdout, exit]).toEqual(["office\nnas\n", 3]);
  expect(stderr).toContain("what logged in with office: scans\n");
  expect(stderr).toContain("there is no secret offise");
  expect(stderr).toContain("Did you mean office?");
});

test("secret inspect shows what was found, also when something else was not", async () => {
  await using daemon = await secretDaemon();
  const { stdout, exit } = await run("secret inspect nas none", daemon);
  expect([JSON.parse(stdout), exit]).toEqual([[nas], 3]);
  expect((await run("secret inspect --json nas office", daemon)).stdout).toBe(
    `${JSON.stringify(nas)}\n${JSON.stringify(office)}\n`,
  );
});

test("completion offers the names of secrets", async () => {
  await using daemon = await secretDaemon();
  expect((await runWords(["__complete", "secret", "rm", "o"], daemon.host)).stdout).toBe(
    "office\n",
  );
});
