// `holdfast doctor` on this machine as it is: beside a daemon, beside a dockerd, alone.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../src/core/doctor.ts";
import { lookAtDocker } from "../../src/doctor/docker.ts";
import { runLooks } from "../../src/doctor/run-looks.ts";
import { linuxHost } from "../../src/host/linux.ts";
import { runToEnd } from "../support/child.ts";
import { holdfastCommand, startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { startDockerd } from "../support/dockerd.ts";
import { whenPossible } from "../support/needs.ts";

/** Each look has five seconds, and they run side by side; starting a program takes some, too. */
const doctorMsMax = 20_000;

let folder: string;
beforeEach(() => {
  folder = temporaryDirectory();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What the command says of a daemon's places; its settings come from variables, as a user's. */
async function doctor(socket: string): Promise<readonly Finding[]> {
  const [program, ...first] = holdfastCommand();
  const ended = await runToEnd(program, [...first, "doctor", "--json"], {
    environment: {
      HOLDFAST_CONFIG: "/dev/null",
      HOLDFAST_HOST: `unix://${socket}`,
      HOLDFAST_PLUGIN_SOCKET: "none",
      HOLDFAST_ROOT: join(folder, "root"),
    },
    timeoutMs: doctorMsMax,
  });
  expect(ended.stderr).toBe("");
  const findings: readonly Finding[] = ended.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  // This machine may have problems of its own: the code must say so and nothing else.
  const hasProblem = findings.some(({ severity }) => severity === "problem");
  expect(ended.exit).toBe(hasProblem ? 1 : 0);
  for (const { severity, fix } of findings) {
    if (severity === "problem" || severity === "warning") expect(fix).toBeString();
  }
  return findings;
}

test("tells a daemon that runs from none", async () => {
  const without = await doctor(join(folder, "none.sock"));
  const of = (findings: readonly Finding[], about: string) =>
    findings.find((finding) => finding.about === about);
  expect(of(without, "api socket")).toMatchObject({ severity: "warning" });
  expect(of(without, "kernel")?.found).toStartWith("Linux ");
  expect(of(without, "program rm")).toMatchObject({ severity: "ok" });
  await using daemon = await startDaemon({ root: join(folder, "root") });
  const beside = await doctor(daemon.socketPath);
  expect(of(beside, "api socket")).toMatchObject({ severity: "ok" });
  expect(of(beside, "data root")).toMatchObject({ severity: "ok" });
  expect(of(beside, "reflink")?.found).toStartWith("files can");
});

whenPossible(["root", "mount"], "looks where the daemon that answers has what", async () => {
  const of = (findings: readonly Finding[], about: string) =>
    findings.find((finding) => finding.about === about)?.found;
  const root = join(folder, "other");
  const pluginSocketPath = join(folder, "plugins/holdfast.sock");
  const lockDirectory = join(folder, "locks");
  const daemon = await startDaemon({ root, pluginSocketPath, lockDirectory });
  try {
    const findings = await doctor(daemon.socketPath);
    expect(of(findings, "looked at")).toBe(
      `the places that the daemon at ${daemon.socketPath} has`,
    );
    expect(of(findings, "data root")).toBe(root);
    expect(of(findings, "driver socket")).toStartWith(`${pluginSocketPath} listens`);
    expect(of(findings, "lock socket")).toBe(`${lockDirectory}/locks.sock listens`);
  } finally {
    await daemon.stop();
    // They stay for the next daemon.
    for (const target of [join(root, "holds"), lockDirectory, `${lockDirectory}.own`]) {
      await runToEnd("umount", [target], { timeoutMs: doctorMsMax });
    }
  }
  const findings = await doctor(daemon.socketPath);
  expect(of(findings, "looked at")).toEndWith("the places of the settings here");
  expect(of(findings, "data root")).toStartWith(join(folder, "root"));
  expect(of(findings, "driver socket")).toStartWith("none is configured");
  expect(of(findings, "lock socket")).toBeUndefined();
});

whenPossible(
  ["root", "dockerd", "unshare"],
  "looks at a real dockerd from outside",
  async () => {
    await using dockerd = await startDockerd({ dataRoot: join(folder, "docker") });
    const findings = await runLooks(
      {
        host: linuxHost(),
        userId: 0,
        dataRoot: join(folder, "root"),
        secretKey: join(folder, "key"),
        sockets: { api: join(folder, "a"), plugin: undefined, docker: dockerd.socketPath },
        fileRoot: "",
      },
      { looks: [["docker", lookAtDocker]] },
    );
    const found = findings.map((finding) => finding.found);
    expect(found).toContainEqual(expect.stringMatching(/^installed: Docker version \d/));
    expect(found).toContainEqual(expect.stringMatching(/ answers on \S+: version \d/));
    expect(found).toContainEqual(
      expect.stringContaining(`dockerd ${dockerd.pid} is in a mount namespace of its own`),
    );
    expect(existsSync(join(folder, "root"))).toBe(false);
  },
  120_000,
);

whenPossible(["root", "mount"], "of a volume: what it is fit for, by a real daemon", async () => {
  await using daemon = await startDaemon({ root: join(folder, "root") });
  const [program, ...first] = holdfastCommand();
  const holdfast = (...words: readonly string[]) =>
    runToEnd(program, [...first, ...words], {
      environment: { HOLDFAST_HOST: `unix://${daemon.socketPath}` },
      timeoutMs: doctorMsMax,
    });
  await holdfast("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory");
  const unfit = await holdfast("doctor", "--for", "postgresql", "memory");
  expect(unfit.stdout).toStartWith("unfit    PostgreSQL\n         survives-power-cut: ");
  expect(unfit.exit).toBe(1);
  const fit = await holdfast("doctor", "--quick", "--for", "git", "memory");
  expect({ ...fit }).toEqual({ exit: 0, stdout: "fit      Git\n", stderr: "" });
  const shown = await holdfast("doctor", "--quick", "memory");
  expect(shown.exit).toBe(0);
  expect(shown.stdout).toMatch(/^memory: tmpfs \(tmpfs\), measured by one client in [\d.]+ s\n/);
  expect(shown.stdout).toMatch(/\nunfit {4}etcd +survives-power-cut\n/);
  expect(shown.stdout).toMatch(/\nMEASURED +ANSWER +VALUE +DETAIL\n/);
  const report = JSON.parse((await holdfast("doctor", "--json", "memory")).stdout);
  expect(report).toMatchObject({ volume: "memory", quick: false, secondMount: false, ended: "" });
  const { stdout } = await holdfast("volume", "inspect", "--full", "--json", "memory");
  expect(JSON.parse(stdout).doctor).toEqual(report);
  const missing = await holdfast("doctor", "nothing");
  expect(missing.exit).toBe(3);
  expect(missing.stderr).toContain("no such volume");
  expect((await holdfast("doctor", "--quick")).exit).toBe(2);
  expect((await holdfast("doctor", "--for", "chess", "memory")).stderr).toContain("postgresql");
});
