// Volumes whose plugin was stopped or removed under them: shown with their state, freed by force,
// and whoever has their data keeps it.
import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { runOnTerminal } from "../e2e/on-terminal.ts";
import { holdfastCommand } from "../support/daemon.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { makePluginRootfs } from "../support/plugin-rootfs.ts";
import { mountsBelow } from "../support/plugin-stage.ts";
import { Stage } from "./stage.ts";

const needed: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "plugin-runtime", "mount", "unshare", "busybox"] as const),
];
const timeoutMs = 120_000;
const volumesFormat = ["volume", "ls", "--format", "{{.Driver}} {{.Name}}"];

/** What people see. */
async function seen(stage: Stage): Promise<readonly string[]> {
  const environment = {
    ...{ PATH: process.env["PATH"] ?? "", HOME: stage.folder, LANG: "C.UTF-8", NO_COLOR: "1" },
    HOLDFAST_HOST: `unix://${stage.bench.daemon.socketPath}`,
  };
  const command = [...holdfastCommand(), "volume", "ls"] as const;
  const { text } = await runOnTerminal({ command, environment, answers: [] });
  return text.split("\n");
}

async function install(stage: Stage): Promise<void> {
  await stage.docker("plugin", "create", "vp", join(stage.folder, "vp"));
  await stage.docker("plugin", "enable", "vp");
}

async function refusal(stage: Stage, ...words: readonly string[]): Promise<string> {
  const { exit, stderr } = await stage.run(...words);
  expect([words, exit]).toEqual([words, 1]);
  return stderr.trim();
}

const read = "cat /data/page";

whenPossible(
  needed,
  "disabled, removed, and there again",
  async () => {
    await using stage = await Stage.open();
    await makePluginRootfs(join(stage.folder, "vp"));
    await install(stage);
    for (const name of ["free", "held"]) await stage.docker("volume", "create", "-d", "vp", name);
    await stage.container("c1", "held");
    await stage.shell("c1", "echo kept > /data/page");

    expect(await refusal(stage, "plugin", "disable", "vp")).toEndWith("plugin vp:latest is in use");
    await stage.docker("plugin", "disable", "-f", "vp");
    expect(await stage.docker(...volumesFormat)).toBe("vp:latest free\nvp:latest held");
    expect(await seen(stage)).toContainEqual(
      expect.stringMatching(/^held +vp:latest +DISABLED \d+s +c1 \(rw\) +now$/),
    );
    expect((await stage.volume("free")).state).toBe("disabled");
    expect(await stage.shell("c1", read)).toBe("kept");

    const denied = await refusal(stage, "volume", "rm", "free");
    expect(denied).toEndWith("plugin vp:latest found but disabled");
    await stage.docker("volume", "rm", "-f", "free");
    await stage.docker("volume", "create", "free");
    expect(await stage.docker(...volumesFormat)).toBe("local free\nvp:latest held");
    expect(await refusal(stage, "volume", "rm", "-f", "held")).toContain("in use");

    await stage.docker("plugin", "enable", "vp");
    await stage.untilState("vp", "ready");
    expect(await stage.docker(...volumesFormat)).toBe("local free\nvp:latest held");
    expect(await stage.shell("c1", read)).toBe("kept");
    expect(await stage.shellOnce("held", read)).toBe("kept");
    await stage.docker("volume", "rm", "free");

    expect(await refusal(stage, "plugin", "rm", "vp")).toEndWith("plugin vp:latest is in use");
    await stage.docker("plugin", "rm", "-f", "vp");
    expect(await seen(stage)).toContainEqual(expect.stringMatching(/^held +vp:latest +GONE \d+s /));
    expect((await stage.volume("held")).state).toBe("gone");
    expect(await stage.shell("c1", read)).toBe("kept");
    const inUse = await refusal(stage, "volume", "rm", "-f", "held");
    expect(inUse).toEndWith("remove held: volume is in use - [c1 (docker, running)]");
    await stage.bench.docker("rm", "-f", "c1");

    // Another one of its name, which never had the volume.
    await install(stage);
    await stage.untilState("vp", "ready");
    await stage.bench.holders("held");
    expect((await stage.volume("held")).state).toBe("not listed");
    await stage.docker("volume", "create", "-d", "vp", "held");
    expect((await stage.volume("held")).state).toBe("idle");
    await stage.docker("plugin", "rm", "-f", "vp");
    await stage.docker("volume", "rm", "-f", "held");
    await stage.docker("volume", "create", "held");
    expect(await stage.docker(...volumesFormat)).toBe("local held");
    await stage.until("nothing is mounted", () =>
      mountsBelow(stage.bench.root).length === 1 ? true : undefined,
    );
    expect(mountsBelow(stage.bench.root)).toEqual([join(stage.bench.root, "holds")]);
    const left = () =>
      readdirSync(join(stage.bench.root, "plugins")).filter((name) => name.length === 64);
    await stage.until(`nothing is left but ${left()}`, () =>
      left().length === 0 ? true : undefined,
    );
  },
  timeoutMs,
);
