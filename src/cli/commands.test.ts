// The table of commands and what is made from it: help, suggestions, completion, the reference.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeDaemon, json, runWords, shellWords } from "../../test/support/fake-daemon.ts";
import { EngineError } from "../core/errors.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import { findCommand } from "./find-command.ts";
import { parseOptions } from "./options.ts";
import { namedHere, theirLines } from "./other-words.ts";
import { renderCliReference } from "./reference.ts";
import { runners } from "./runners.ts";

const nowhere = "unix:///nonexistent/holdfast.sock";
const volumes = ["v10", "v2", "v1"].map((Name) => ({
  Name,
  Driver: "local",
  Mountpoint: `/m/${Name}`,
  Scope: "local",
  CreatedAt: "2026-11-22T11:00:00Z",
  Labels: null,
  Options: null,
}));

function daemonWithVolumes(): Promise<FakeDaemon> {
  return FakeDaemon.start(() => json({ Volumes: volumes, Warnings: null }));
}

function words(command: Command): string {
  return command.words.join(" ");
}

describe("the table", () => {
  test("has a runner for each command, and no other", async () => {
    expect(Object.keys(runners).sort()).toEqual(commands.map(words).sort());
    for (const load of Object.values(runners)) expect(typeof (await load())).toBe("function");
  });

  test.each(commands.flatMap(({ examples }) => examples.map(({ line }) => [line])))(
    "has an example that can be read: %s",
    (line) => {
      const [, ...rest] = shellWords(line.replace(/^source <\((.*)\)$/, "$1"));
      const command = findCommand(rest);
      expect(command).toBeDefined();
      if (command === undefined) return;
      const parsed = parseOptions(command.options, rest.slice(command.words.length));
      expect(parsed.positional.length).toBeGreaterThanOrEqual(command.argumentCount.min);
    },
  );
});

describe("help", () => {
  test("has every line of Docker's for the volume commands", async () => {
    const file = join(import.meta.dir, "../../test/fixtures/cli/docker-help-28.2.2.txt");
    const flat = (text: string): string => text.replace(/\s+/g, " ");
    let lineCount = 0;
    for (const part of readFileSync(file, "utf8").split("### docker ").slice(1)) {
      const [line = "", ...lines] = part.split("\n");
      const { stdout, exit } = await runWords(shellWords(line), nowhere);
      expect(exit).toBe(0);
      for (const wanted of lines.filter((text) => text.trim() !== "")) {
        expect(flat(stdout)).toContain(flat(wanted.replaceAll("docker ", "holdfast ")).trim());
        lineCount++;
      }
    }
    expect(lineCount).toBeGreaterThan(40);
  });

  test("needs no daemon, whichever way it is asked for", async () => {
    const expected = await runWords(["volume", "ls", "--help"], nowhere);
    expect(expected.stdout).toStartWith("Usage:  holdfast volume ls [OPTIONS]\n\nList volumes\n");
    for (const line of [
      ["help", "volume", "ls"],
      ["volume", "--help", "ls"],
      ["volume", "ls", "-h"],
    ]) {
      expect((await runWords(line, nowhere)).stdout).toContain("holdfast volume");
    }
    expect((await runWords([], nowhere)).stdout).toContain("Management Commands:\n  volume");
    expect(await runWords(["help", "nonsense"], nowhere)).toMatchObject({
      stderr: "unknown help topic: nonsense\n",
      exit: 1,
    });
  });
});

describe("suggestions", () => {
  test.each([
    [["volme", "ls"], "Did you mean 'holdfast volume'?", 1],
    [["volume", "lss"], "Did you mean 'holdfast volume ls'?", 1],
    [["volume", "delete"], "Did you mean 'holdfast volume rm'?", 1],
    [["volume", "what"], "holdfast: unknown command: holdfast volume what\n\nUsage:", 1],
    [["trash", "empty"], "Did you mean 'holdfast trash purge --all'?", 1],
    [["prune", "--dry-run"], "Did you mean 'holdfast volume prune'?", 1],
    [["driver", "ls"], "Did you mean 'holdfast drivers'?", 1],
    [["volume", "prune", "--dry-run"], "Did you mean --plan?", 125],
    [["volume", "prune", "-n"], "Did you mean --plan?", 125],
    [["volume", "ls", "--fliter", "a=b"], "Did you mean --filter?", 125],
    [["volume", "rm", "--quiet", "x"], "Did you mean 'holdfast volume ls --quiet'?", 125],
    [["--hots", "x"], "Did you mean --host?", 125],
  ])("%p", async (line, text, code) => {
    const { stdout, stderr, exit } = await runWords(line, nowhere);
    expect(stdout).toBe("");
    expect(stderr).toContain(text);
    expect(exit).toBe(code);
  });

  test("what others call our commands and options are not ours, and ours are there", () => {
    const isCommand = (line: string) => findCommand(line.split(" ")) !== undefined;
    expect(theirLines.filter(isCommand)).toEqual([]);
    for (const line of namedHere) {
      const words = line.split(" ");
      const names = findCommand(words)?.options.flatMap(({ name, short }) => [
        `--${name}`,
        `-${short}`,
      ]);
      const options = words.filter((word) => word.startsWith("-"));
      expect([line, names]).toEqual([line, expect.arrayContaining(options)]);
    }
  });
});

describe("completion", () => {
  const complete = async (...line: string[]): Promise<string[]> => {
    await using daemon = await daemonWithVolumes();
    const { stdout } = await runWords(["__complete", ...line], daemon.host);
    return stdout
      .split("\n")
      .slice(0, -1)
      .map((text) => text.split("\t")[0] ?? "");
  };

  test("knows commands, options, values, and the volumes of the daemon", async () => {
    expect(await complete("vol")).toEqual(["volume"]);
    expect(await complete("volume", "")).toEqual([
      "create",
      "inspect",
      "ls",
      "prune",
      "rm",
      "update",
      "protect",
      "unprotect",
      "rename",
      "publish",
      "flush",
      "history",
      "conflicts",
    ]);
    expect(await complete("volume", "ls", "--f")).toEqual(["--filter", "--format"]);
    expect(await complete("volume", "rm", "")).toEqual(["v1", "v2", "v10"]);
    expect(await complete("volume", "rm", "v1", "v")).toEqual(["v2", "v10"]);
    expect(await complete("volume", "update", "--availability", "")).toEqual([
      "active",
      "pause",
      "drain",
    ]);
    expect(await complete("completion", "")).toEqual(["bash", "fish", "zsh"]);
    expect(await complete("help", "volume", "in")).toEqual(["inspect"]);
  });

  test("is silent without a daemon", async () => {
    const outcome = await runWords(["__complete", "volume", "rm", ""], nowhere);
    expect(outcome).toEqual({ stdout: "", stderr: "", exit: 0 });
  });

  test.each(["bash", "zsh", "fish"])("prints a script for %s", async (shell) => {
    const { stdout, exit } = await runWords(["completion", shell], nowhere);
    expect(stdout).toContain("holdfast __complete");
    expect(exit).toBe(0);
  });

  test("refuses other shells", async () => {
    expect((await runWords(["completion", "tcsh"], nowhere)).exit).toBe(2);
  });
});

test("the reference has every command and option", () => {
  const page = renderCliReference();
  for (const command of commands) {
    expect(page).toContain(`## holdfast ${words(command)}\n`);
    for (const option of command.options.filter(({ hidden }) => !hidden)) {
      expect(page).toContain(`--${option.name}`);
    }
  }
});

describe("on a terminal", () => {
  test("a failure names the way out, and nowhere else", async () => {
    await using daemon = await FakeDaemon.start(() => {
      return json({ message: "remove v1: volume is in use - [6fe1]" }, 409);
    });
    const line = ["volume", "rm", "v1"];
    const shown = await runWords(line, daemon.host, { isTerminal: true, env: { NO_COLOR: "1" } });
    expect(shown.stderr).toContain("\nRemove the containers it names first");
    const piped = await runWords(line, daemon.host);
    expect(piped.stderr).toBe("Error response from daemon: remove v1: volume is in use - [6fe1]\n");
  });
});

describe("--json", () => {
  test("prints one volume per line, in order", async () => {
    await using daemon = await daemonWithVolumes();
    const { stdout } = await runWords(["volume", "ls", "--json"], daemon.host);
    const lines = stdout.split("\n").slice(0, -1);
    expect(lines.map((line) => JSON.parse(line).Name)).toEqual(["v1", "v2", "v10"]);
    expect(JSON.parse(lines[0] ?? "")).toEqual(volumes[2]);
  });

  test("prints failures as JSON, too, each with its way out", async () => {
    await using daemon = await FakeDaemon.start(() =>
      json({ message: "get a: no such volume" }, 404),
    );
    const { stderr, exit } = await runWords(["volume", "rm", "--json", "a", "b"], daemon.host);
    const errors = stderr
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line).error);
    expect(errors).toHaveLength(2);
    expect(errors[0]).toEqual({
      message: "Error response from daemon: get a: no such volume",
      status: 404,
      recovery: "List the volumes that exist with: holdfast volume ls",
    });
    expect(exit).toBe(1);
  });
});

describe("the target", () => {
  test("is named by --host before or behind the command, else by HOLDFAST_HOST", async () => {
    await using daemon = await daemonWithVolumes();
    for (const line of [
      ["-H", daemon.host, "volume", "ls", "-q"],
      ["volume", "ls", "-q", `--host=${daemon.host}`],
    ]) {
      expect((await runWords(line, nowhere)).stdout).toBe("v1\nv2\nv10\n");
    }
  });

  test.each([
    ["tcp://127.0.0.1:2375", "speaks to a Unix socket"],
    [`unix:///${"x".repeat(200)}`, "at most 107 bytes"],
  ])("%p is refused with the rule", async (host, text) => {
    const { stderr, exit } = await runWords(["volume", "ls"], host);
    expect(stderr).toContain(text);
    expect(exit).toBe(1);
  });
});

describe("verify driver", () => {
  const line = ["verify", "driver", "local", "-o", "a=b", "--root", "/mnt/x"];
  const promises = [{ promise: "Says no.", outcome: "broken", reason: "It said yes." }] as const;

  test("passes the request on and ends as the report says", async () => {
    const requests: unknown[] = [];
    const verifyDriver = (request: unknown, isWhole: boolean) => {
      requests.push(request);
      const leftBehind = isWhole ? [] : ["directory /mnt/x/y: it is busy"];
      return Promise.resolve({ isWhole, text: "the report\n", promises, leftBehind });
    };
    const whole = await runWords(line, nowhere, {
      verifyDriver: (request) => verifyDriver(request, true),
    });
    expect(whole).toEqual({ stdout: "the report\n", stderr: "", exit: 0 });
    expect(requests).toEqual([{ driver: "local", options: { a: "b" }, root: "/mnt/x" }]);
    const broken = await runWords([...line, "--json"], nowhere, {
      verifyDriver: (request) => verifyDriver(request, false),
    });
    const lines = [promises[0], { leftBehind: "directory /mnt/x/y: it is busy" }];
    const stdout = lines.map((each) => `${JSON.stringify(each)}\n`).join("");
    expect(broken).toMatchObject({ stdout, exit: 4 });
  });

  test("says the way out of a failure, and ends by its kind", async () => {
    const fail = () => Promise.reject(new EngineError("driver.not_found", "there is no driver x"));
    const outcome = await runWords(line, nowhere, { verifyDriver: fail });
    expect(outcome.stderr).toStartWith("there is no driver x\n");
    expect(outcome.stderr.split("\n")).toHaveLength(3);
    expect(outcome.exit).toBe(3);
    const structured = await runWords([...line, "--json"], nowhere, { verifyDriver: fail });
    expect(JSON.parse(structured.stderr).error.code).toBe("driver.not_found");
  });

  test("reports a bug as one", async () => {
    const verifyDriver = () => Promise.reject(new TypeError("x is not a function"));
    const { stderr, exit } = await runWords(line, nowhere, { verifyDriver });
    expect(stderr).toContain("internal error, which is a bug: TypeError: x is not a function");
    expect(exit).toBe(70);
  });

  test("says so when the build has no checks", async () => {
    expect(await runWords(line, nowhere)).toMatchObject({ exit: 6 });
  });
});

describe("prune", () => {
  const answer = (api: string) =>
    FakeDaemon.start(({ method }) => {
      if (method === "HEAD") return { status: 200, headers: { "Api-Version": api } };
      return json({ VolumesDeleted: ["a", "b"], SpaceReclaimed: 123_456_789 });
    });

  test("asks, and takes nothing but y for a yes", async () => {
    await using daemon = await answer("1.51");
    const warning =
      "WARNING! This will remove anonymous local volumes not used by at least one container.\n" +
      "Are you sure you want to continue? [y/N] ";
    for (const input of ["n", "yes", ""]) {
      const outcome = await runWords(["volume", "prune"], daemon.host, { input });
      expect(outcome).toEqual({ stdout: warning, stderr: "", exit: 0 });
    }
    const outcome = await runWords(["volume", "prune"], daemon.host, { input: "Y" });
    expect(outcome.stdout).toBe(
      `${warning}Deleted Volumes:\na\nb\n\nTotal reclaimed space: 123.5MB\n`,
    );
  });

  test("knows anonymous volumes from API 1.42 on", async () => {
    await using daemon = await answer("1.42");
    const { stdout } = await runWords(["volume", "prune"], daemon.host, { input: "n" });
    expect(stdout).toStartWith("WARNING! This will remove anonymous local volumes");
  });

  test("warns of all volumes where the daemon is too old to know better", async () => {
    await using daemon = await answer("1.41");
    const { stdout } = await runWords(["volume", "prune"], daemon.host, { input: "n" });
    expect(stdout).toStartWith("WARNING! This will remove all local volumes");
  });
});
