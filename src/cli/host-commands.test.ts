// install, uninstall, doctor as a person and a program see them; the manual page.
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { FakeDaemon, runWords } from "../../test/support/fake-daemon.ts";
import { whenPossible } from "../../test/support/needs.ts";
import type { Finding } from "../core/doctor.ts";
import { EngineError } from "../core/errors.ts";
import type { Installer, InstallRequest, StepReport } from "../core/installation.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import { renderManPage } from "./man-page.ts";

const nowhere = "unix:///nonexistent/holdfast.sock";
const steps: readonly StepReport[] = [
  { state: "done", what: "/usr/local/bin/holdfast" },
  { state: "kept", what: "/etc/x", why: "it was changed by hand" },
];

/** Tells two steps, and fails after them where a failure is given. */
function installer(failure?: EngineError) {
  const asked: Partial<InstallRequest>[] = [];
  async function* tell(request: Partial<InstallRequest>): AsyncGenerator<StepReport> {
    asked.push(request);
    yield* steps;
    if (failure !== undefined) throw failure;
  }
  const it: Installer = { daemonOptions: [], install: tell, uninstall: tell };
  return { asked, installer: () => Promise.resolve(it), isRoot: true };
}

describe("install and uninstall", () => {
  test("print a line for each step, or an object", async () => {
    for (const word of ["install", "uninstall"]) {
      expect(await runWords([word], nowhere, installer())).toEqual({
        stdout:
          "done       /usr/local/bin/holdfast\n" + "kept       /etc/x: it was changed by hand\n",
        stderr: "",
        exit: 0,
      });
      const { stdout } = await runWords([word, "--json"], nowhere, installer());
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      ).toEqual([...steps]);
    }
  });

  test("hand on what they are told, and the texts of this very command line", async () => {
    const surroundings = installer();
    await runWords(["install", "--destdir", "/d", "--force"], nowhere, surroundings);
    const [request] = surroundings.asked;
    expect(request).toMatchObject({ destdir: "/d", isDryRun: false, isForced: true });
    expect(request?.texts?.bash).toContain("complete -o default -F _holdfast holdfast");
    expect(request?.texts?.manPage).toContain(".SS \\fBholdfast install\\fR");
    await runWords(["uninstall", "-f", "--dry-run"], nowhere, surroundings);
    expect(surroundings.asked[1]).toMatchObject({ isDryRun: true, isForced: true });
  });

  test("are for root, unless nothing of this host is changed", async () => {
    const surroundings = { ...installer(), isRoot: false };
    const { stderr, exit } = await runWords(["install"], nowhere, surroundings);
    expect(stderr).toContain("only root may change this host\nRun it with sudo");
    expect(exit).toBe(5);
    expect((await runWords(["install", "--dry-run"], nowhere, surroundings)).exit).toBe(0);
    expect((await runWords(["uninstall", "--destdir=/d"], nowhere, surroundings)).exit).toBe(0);
  });

  test("need no daemon, nor to know where one would be", async () => {
    const surroundings = { ...installer(), isRoot: false, env: { HOLDFAST_HOST: "" } };
    expect((await runWords(["install", "--destdir=/d"], nowhere, surroundings)).exit).toBe(0);
    const { stderr } = await runWords(["volume", "ls"], nowhere, surroundings);
    expect(stderr).toContain("at unix:///run/user/1000/holdfast/holdfast.sock. Is it running?");
  });

  test("end with the code of what stopped them, after what was done", async () => {
    const held = installer(new EngineError("install.held", "volumes are in use: 2 mounts"));
    const { stdout, stderr, exit } = await runWords(["uninstall"], nowhere, held);
    expect(stdout.split("\n")).toHaveLength(3);
    expect(stderr).toContain("volumes are in use: 2 mounts\nRemove the containers");
    expect(exit).toBe(4);
    const failed = installer(new EngineError("install.failed", "groupadd ended with status 10"));
    expect((await runWords(["install"], nowhere, failed)).exit).toBe(8);
    expect((await runWords(["install"], nowhere, { isRoot: true })).exit).toBe(6);
  });
});

describe("doctor", () => {
  const fine: Finding = { severity: "ok", about: "kernel", found: "Linux 6.18" };
  const bad: Finding = {
    severity: "problem",
    about: "driver socket",
    found: "/p.sock is dead",
    fix: "one\ntwo",
  };
  const finds = (...findings: Finding[]) => ({ doctor: () => Promise.resolve(findings) });

  test("shows each finding with its fix, and ends with 1 where there is a problem", async () => {
    expect(await runWords(["doctor"], nowhere, finds(fine, bad))).toEqual({
      stdout:
        "ok       kernel         Linux 6.18\n" +
        "problem  driver socket  /p.sock is dead\n" +
        "                        fix: one\n" +
        "                        two\n" +
        "\n1 problem, 0 warnings\n",
      stderr: "",
      exit: 1,
    });
    const warning: Finding = { ...bad, severity: "warning" };
    expect((await runWords(["doctor"], nowhere, finds(fine, warning))).exit).toBe(0);
  });

  test("prints an object for each with --json", async () => {
    const { stdout, exit } = await runWords(["doctor", "--json"], nowhere, finds(fine, bad));
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([fine, bad]);
    expect(exit).toBe(1);
  });

  test("looks at the socket that the command line would use", async () => {
    let seen = "";
    const doctor = ({ apiSocket }: { readonly apiSocket: string }) => {
      seen = apiSocket;
      return Promise.resolve([fine]);
    };
    await runWords(["doctor"], nowhere, { doctor });
    expect(seen).toBe("/nonexistent/holdfast.sock");
  });
});

describe("the manual page", () => {
  const daemonOptions = [
    { option: "--root DIR", variable: "HOLDFAST_ROOT", about: "Where.", default: "~/x'y" },
  ];
  const page = renderManPage({ version: "1.2.3", daemonOptions });

  test("has every command, every option and the daemon's", () => {
    const shown = commands.filter(({ hidden }) => !hidden);
    const escaped = (text: string) => text.replaceAll("-", "\\-");
    for (const command of shown) {
      expect(page).toContain(`.SS \\fBholdfast ${command.words.join(" ")}\\fR`);
      const options: Command["options"] = command.options.filter(({ hidden }) => !hidden);
      for (const { name } of options) expect(page).toContain(`\\fB${escaped(`--${name}`)}\\fR`);
    }
    expect(page).toContain("\\fB\\-\\-root DIR\\fR\nWhere. Default: \\(ti/x\\(aqy.");
    expect(page).toStartWith('.\\" ');
  });

  test("has no line that roff would take for a request by mistake", () => {
    const requests = page.match(/^[.'].*$/gm) ?? [];
    const known = /^\.(\\"|TH |SH |SS |TP$|PP$|B |BR |RS 4$|RE$|nf$|fi$)/;
    expect(requests.filter((line) => !known.test(line))).toEqual([]);
  });

  whenPossible(["groff"], "is read by groff without a warning", () => {
    const read = (input: string) =>
      spawnSync("groff", ["-ww", "-man", "-Tutf8", "-P-cbou"], {
        input,
        encoding: "utf8",
        timeout: 30_000,
      });
    const { stdout, stderr, status } = read(page);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("holdfast volume create -o type=tmpfs -o device=tmpfs -o o=size=64m");
    expect(read(`${page}.nonsense\n`).stderr).not.toBe("");
  });
});

test("a doctor that is refused its volume ends with the kind of the refusal", async () => {
  const refusal = { error: "media: silent", code: "remote.unreachable", recovery: "Look at it." };
  const body = `${JSON.stringify(refusal)}\n`;
  await using daemon = await FakeDaemon.start(() => ({ status: 200, body }));
  const { stdout, stderr, exit } = await runWords(["doctor", "media"], daemon.host);
  expect({ stdout, stderr, exit }).toEqual({
    stdout: "",
    stderr: "media: silent\nLook at it.\n",
    exit: 8,
  });
});
