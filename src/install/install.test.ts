// An installation in a directory of its own: complete, repeatable, taken back to nothing.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import { EngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import type { InstallRequest, StepReport } from "../core/installation.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { pluginListenerName } from "../daemon/listeners.ts";
import { settings } from "../daemon/settings.ts";
import { linuxHost } from "../host/linux.ts";
import { install } from "./install.ts";
import { executablePath, manifestPath, textFiles } from "./layout.ts";
import type { InstallParts } from "./parts.ts";
import { uninstall } from "./uninstall.ts";
import { renderUnits, unitNames } from "./units.ts";

const texts = { bash: "bash\n", zsh: "zsh\n", fish: "fish\n", manPage: ".TH HOLDFAST 1\n" };
const wanted = textFiles({ group: "holdfast", root: "/var/lib/holdfast", texts });
const service = "/etc/systemd/system/holdfast.service";

let folder: string;
let destdir: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-install-");
  destdir = join(folder, "d");
  writeFileSync(join(folder, "program"), "the executable, version 1");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What systemctl, groupadd and groupdel are asked, and what the first of them answers. */
interface Recording {
  readonly asked: string[];
  readonly active: Set<string>;
  readonly mounts: readonly MountInfo[];
}

function mountAt(target: string): MountInfo {
  return {
    ...{ mountId: target.length, parentId: 0, device: "8:1", root: "/", target, options: ["rw"] },
    ...{ propagation: ["shared:7"], fileSystem: "ext4", source: "/dev/sda1" },
  };
}

/** A host on which these programs only note that they were called: the machine's are its own. */
function partsWith(changes: Partial<InstallParts> = {}, recording?: Recording): InstallParts {
  const host = linuxHost();
  const run: InstallParts["host"]["run"] = async (program, args) => {
    const [verb, quiet, unit = ""] = args;
    const isQuestion = quiet === "--quiet";
    if (!isQuestion) recording?.asked.push([program, ...args].join(" "));
    const isNo = isQuestion && !recording?.active.has(`${verb} ${unit}`);
    return { exitCode: isNo ? 3 : 0, stdout: "", stderr: "" };
  };
  return {
    host: {
      ...host,
      ...{ run, mounts: () => recording?.mounts ?? host.mounts() },
      unbind(target) {
        recording?.asked.push(`unbind ${target}`);
        return "gone";
      },
    },
    operation: {
      ...{ id: makeOperationId("t"), caller: systemCaller, log: silentLog },
      signal: AbortSignal.timeout(20_000),
    },
    executable: join(folder, "program"),
    version: "1.0.0",
    root: "/var/lib/holdfast",
    secretKey: "/etc/secret.key",
    machineRoot: join(folder, "machine"),
    systemdFolder: join(folder, "systemd"),
    ...changes,
  };
}

async function all(steps: AsyncIterable<StepReport>): Promise<readonly StepReport[]> {
  const found: StepReport[] = [];
  for await (const step of steps) found.push(step);
  return found;
}

function into(changes: Partial<InstallRequest> = {}, parts = partsWith()) {
  return all(install({ texts, destdir, isDryRun: false, isForced: false, ...changes }, parts));
}

function outOf(parts = partsWith(), changes: Partial<InstallRequest> = {}) {
  return all(uninstall({ destdir, isDryRun: false, isForced: false, ...changes }, parts));
}

function states(steps: readonly StepReport[]): readonly string[] {
  return [...new Set(steps.map(({ state }) => state))];
}

describe("into a directory", () => {
  test("writes every file with its mode, and takes all of it back", async () => {
    expect(states(await into())).toEqual(["done"]);
    const executable = join(destdir, executablePath);
    expect(readFileSync(executable, "utf8")).toBe("the executable, version 1");
    expect(statSync(executable).mode & 0o7777).toBe(0o755);
    for (const { path, text } of wanted) {
      expect(readFileSync(join(destdir, path), "utf8")).toBe(text);
      expect(statSync(join(destdir, path)).mode & 0o7777).toBe(0o644);
    }
    expect(states(await outOf())).toEqual(["done"]);
    expect(readdirSync(destdir)).toEqual([]);
    expect(states(await outOf())).toEqual(["unchanged"]);
  });

  test("changes nothing the second time, and only what is new on an upgrade", async () => {
    await into();
    const files = [executablePath, manifestPath, ...wanted.map(({ path }) => path)];
    const identities = () => files.map((file) => statSync(join(destdir, file)).ino);
    const before = identities();
    expect(states(await into())).toEqual(["unchanged"]);
    expect(identities()).toEqual(before);
    writeFileSync(join(folder, "program"), "the executable, version 2");
    const steps = await into({ texts: { ...texts, fish: "more fish\n" } });
    expect(steps.filter(({ state }) => state === "done").map(({ what }) => what)).toEqual([
      join(destdir, executablePath),
      join(destdir, "/usr/local/share/fish/vendor_completions.d/holdfast.fish"),
    ]);
    expect(states(await outOf())).toEqual(["done"]);
    expect(readdirSync(destdir)).toEqual([]);
  });

  test("leaves what was changed by hand, says so, and replaces it when it is forced", async () => {
    await into();
    writeFileSync(join(destdir, service), "[Unit]\n# mine\n");
    const kept = (steps: readonly StepReport[]) => steps.filter(({ state }) => state === "kept");
    expect(kept(await into())).toEqual([
      {
        state: "kept",
        what: join(destdir, service),
        why: "it was changed by hand; --force replaces it",
      },
    ]);
    expect(kept(await outOf()).map(({ what }) => what)).toEqual([join(destdir, service)]);
    expect(readFileSync(join(destdir, service), "utf8")).toBe("[Unit]\n# mine\n");
    // What is left is a stranger's from now on.
    expect(kept(await into()).map(({ why }) => why)).toEqual([
      "it was not written by an install; --force replaces it",
    ]);
    expect(kept(await into({ isForced: true }))).toEqual([]);
    expect(states(await outOf())).toEqual(["done"]);
  });

  test("keeps directories that hold something else", async () => {
    await into();
    writeFileSync(join(destdir, "usr/local/bin/other"), "");
    await outOf();
    expect(readdirSync(join(destdir, "usr/local"))).toEqual(["bin"]);
    expect(readdirSync(join(destdir, "usr/local/bin"))).toEqual(["other"]);
  });

  test("an executable that was replaced by hand is upgraded, and taken back", async () => {
    await into();
    writeFileSync(join(destdir, executablePath), "by hand");
    const [first] = await into({}, partsWith({ executable: join(destdir, executablePath) }));
    expect(first).toMatchObject({ state: "done", why: "it is this very program" });
    expect(states(await outOf())).toEqual(["done"]);
  });

  test("an interrupted one can be taken back, or goes on", async () => {
    const request = { texts, destdir, isDryRun: false, isForced: false };
    for await (const { what } of install(request, partsWith())) {
      if (what.endsWith("holdfast.socket")) break;
    }
    expect(existsSync(join(destdir, service))).toBe(false);
    expect(states(await into())).toEqual(["unchanged", "done"]);
    await outOf();
    expect(readdirSync(destdir)).toEqual([]);
  });

  test("a dry run tells everything and does nothing", async () => {
    expect(states(await into({ isDryRun: true }))).toEqual(["planned"]);
    expect(existsSync(destdir)).toBe(false);
    await into();
    expect(states(await outOf(partsWith(), { isDryRun: true }))).toEqual(["planned"]);
    expect(existsSync(join(destdir, manifestPath))).toBe(true);
  });

  test("what cannot be done says which file it was", async () => {
    mkdirSync(join(destdir, "usr/local"), { recursive: true });
    writeFileSync(join(destdir, "usr/local/bin"), "no directory");
    const failure = await into().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineError);
    expect(failure).toMatchObject({ code: "install.failed" });
    expect(String(failure)).toContain(join(destdir, executablePath));
    const sources = into({}, partsWith({ executable: undefined }));
    await expect(sources).rejects.toMatchObject({ code: "install.impossible" });
    rmSync(join(destdir, "usr"), { recursive: true });
    await into();
    writeFileSync(join(destdir, manifestPath), "{");
    await expect(outOf()).rejects.toMatchObject({ code: "install.failed" });
    const files = [{ path: "/../program", sha256: "" }];
    writeFileSync(
      join(destdir, manifestPath),
      JSON.stringify({ version: 1, files, directories: [] }),
    );
    await expect(outOf()).rejects.toThrow('"/../program" is no plain absolute path');
    await expect(into({ destdir: "" })).rejects.toThrow("--destdir is empty");
  });
});

describe("on the machine itself", () => {
  const here = { destdir: undefined };
  const units = unitNames.join(" ");
  const sockets = "holdfast.socket holdfast-plugin.socket";
  let recording: Recording;
  beforeEach(() => {
    recording = { asked: [], active: new Set(), mounts: [] };
    mkdirSync(join(folder, "machine/etc"), { recursive: true });
    writeFileSync(join(folder, "machine/etc/group"), "root:x:0:\n");
    mkdirSync(join(folder, "systemd"));
  });
  const asked = () => recording.asked.splice(0);
  const everythingRuns = () => {
    for (const unit of unitNames) {
      recording.active.add(`is-enabled ${unit}`).add(`is-active ${unit}`);
    }
  };

  test("the group is made, units are enabled, sockets come before the service", async () => {
    await into(here, partsWith({}, recording));
    expect(asked()).toEqual([
      "groupadd --system holdfast",
      "systemctl daemon-reload",
      `systemctl enable ${units}`,
      `systemctl start ${sockets}`,
      "systemctl start holdfast.service",
    ]);
    everythingRuns();
    writeFileSync(join(folder, "machine/etc/group"), "root:x:0:\nholdfast:x:9:\n");
    const again = await into(here, partsWith({}, recording));
    expect(states(again)).toEqual(["unchanged"]);
    expect(asked()).toEqual([]);

    writeFileSync(join(folder, "program"), "version 2");
    await into(here, partsWith({}, recording));
    expect(asked()).toEqual(["systemctl restart holdfast.service"]);

    // Another data root is in the service's unit, another group in the socket's.
    await into(here, partsWith({ root: "/srv/hold fast%" }, recording));
    expect(asked()).toEqual(["systemctl daemon-reload", "systemctl restart holdfast.service"]);
    writeFileSync(join(folder, "machine/etc/group"), "docker:x:8:\nholdfast:x:9:\n");
    await into(here, partsWith({ root: "/srv/hold fast%" }, recording));
    expect(asked()).toEqual([
      "systemctl daemon-reload",
      `systemctl stop ${sockets} holdfast.service`,
      `systemctl start ${sockets}`,
      "systemctl start holdfast.service",
    ]);

    const keyFile = join(folder, "machine/etc/secret.key");
    writeFileSync(keyFile, "");
    const steps = await outOf(partsWith({}, recording), here);
    expect(asked()).toEqual([
      `systemctl disable --now ${sockets} holdfast.service`,
      "systemctl daemon-reload",
      "groupdel holdfast",
    ]);
    const kept = steps.filter(({ state }) => state === "kept").map(({ what }) => what);
    expect(kept).toEqual(["/var/lib/holdfast", keyFile]);
    expect(readdirSync(join(folder, "machine"))).toEqual(["etc"]);
    expect(readdirSync(join(folder, "machine/etc")).toSorted()).toEqual(["group", "secret.key"]);
  });

  test("a service that runs without its sockets is stopped before they are opened", async () => {
    recording.active.add("is-active holdfast.service");
    await into(here, partsWith({}, recording));
    expect(asked().slice(3)).toEqual([
      `systemctl stop ${sockets} holdfast.service`,
      `systemctl start ${sockets}`,
      "systemctl start holdfast.service",
    ]);
  });

  test("a group with members is left, and so is one that was there", async () => {
    await into(here, partsWith({}, recording));
    writeFileSync(join(folder, "machine/etc/group"), "holdfast:x:9:ann,bob\n");
    asked();
    const steps = await outOf(partsWith({}, recording), here);
    expect(steps).toContainEqual({
      state: "kept",
      what: "group holdfast",
      why: "it has members: ann, bob",
    });
    expect(asked()).not.toContain("groupdel holdfast");
  });

  test("without systemd it says how to start the daemon, and what is not shared", async () => {
    rmSync(join(folder, "systemd"), { recursive: true });
    recording = { ...recording, mounts: [{ ...mountAt("/"), propagation: [] }] };
    const warnings = (await into(here, partsWith({}, recording))).filter(
      ({ state }) => state === "warning",
    );
    expect(warnings.map(({ why = "" }) => why)).toEqual([
      expect.stringContaining("mount --make-rshared /"),
      expect.stringContaining("/usr/local/bin/holdfast daemon"),
    ]);
    expect(asked()).toEqual(["groupadd --system holdfast"]);
  });

  test("while volumes are in use it refuses, unless it is forced", async () => {
    await into(here, partsWith({}, recording));
    const own = mountAt("/var/lib/holdfast/holds");
    const target = `${own.target}/abc`;
    recording = { ...recording, mounts: [mountAt("/"), own, mountAt(target)] };
    asked();
    const refused = outOf(partsWith({}, recording), here);
    await expect(refused).rejects.toMatchObject({
      code: "install.held",
      details: { targets: [target] },
    });
    expect(asked()).toEqual([]);
    expect(existsSync(join(folder, "machine", executablePath))).toBe(true);
    const [first] = await outOf(partsWith({}, recording), { ...here, isForced: true });
    expect(first).toMatchObject({ state: "warning" });
    expect(existsSync(join(folder, "machine", executablePath))).toBe(false);
    expect(asked()).not.toContain(`unbind ${own.target}`);

    // The daemon's own mount is no use.
    recording = { ...recording, mounts: [mountAt("/"), own] };
    await into(here, partsWith({}, recording));
    await outOf(partsWith({}, recording), here);
    expect(asked()).toContain(`unbind ${own.target}`);
  });

  test("a program that fails stops the installation with its words", async () => {
    const parts = partsWith({}, recording);
    const run = async () => ({ exitCode: 10, stdout: "", stderr: "no more\ngroups\n" });
    const failing = into(here, { ...parts, host: { ...parts.host, run } });
    await expect(failing).rejects.toThrow(
      "groupadd --system holdfast ended with status 10: no more; groups",
    );
  });
});

describe("the units", () => {
  const values = { executable: process.execPath, group: "docker", root: "/var/lib/holdfast" };

  test("agree with the daemon, and give it no mount namespace of its own", () => {
    const rendered = renderUnits(values);
    const lines = (name: keyof typeof rendered) => rendered[name].split("\n");
    expect(lines("holdfast.socket")).toContain(
      `ListenStream=${settings.host.default.slice("unix://".length)}`,
    );
    const plugin = lines("holdfast-plugin.socket");
    expect(plugin).toContain(`ListenStream=${settings["plugin-socket"].default}`);
    expect(plugin).toContain(`FileDescriptorName=${pluginListenerName}`);
    expect(plugin).toContain("SocketMode=0600");
    for (const name of unitNames) {
      const before = lines(name).find((line) => line.startsWith("Before="));
      expect(before).toContain("docker.service");
    }
    const options = lines("holdfast.service").filter((line) => !line.startsWith("#"));
    expect(options).toContain("Type=notify");
    expect(options).toContain("KillMode=process");
    const namespaces =
      /^(Private|Protect|ReadOnly|ReadWrite|Inaccessible|Temporary|Bind|Root|Mount)/;
    expect(options.filter((line) => namespaces.test(line))).toEqual([]);
  });

  test("take odd paths as they are", () => {
    const odd = renderUnits({ ...values, root: '/srv/a "b" 100%\\' })["holdfast.service"];
    expect(odd).toContain('RequiresMountsFor="/srv/a \\"b\\" 100%%\\\\"\n');
  });

  whenPossible(["systemd-analyze"], "are understood by systemd, every word", () => {
    const verify = (changed: (text: string) => string) => {
      const files = unitNames.map((name) => join(folder, name));
      for (const name of unitNames) {
        writeFileSync(join(folder, name), changed(renderUnits(values)[name]));
        chmodSync(join(folder, name), 0o644);
      }
      const words = ["verify", "--man=no", ...files];
      return spawnSync("systemd-analyze", words, { encoding: "utf8", timeout: 30_000 });
    };
    const { status, stderr } = verify((text) => text);
    const about = stderr.split("\n").filter((line) => line.includes("holdfast"));
    expect([status, about]).toEqual([0, []]);
    const broken = verify((text) => text.replace("KillMode=process", "KillMode=sometimes"));
    expect(broken.stderr).toContain("sometimes");
  });
});
