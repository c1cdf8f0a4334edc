// What an OCI runtime is told of a plugin is what a real Docker Engine tells it; and what differs.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PluginDevice, PluginMount } from "../../src/core/plugin.ts";
import { findDevices } from "../../src/plugins/runtime/devices.ts";
import { type OciSpec, ociSpec } from "../../src/plugins/runtime/oci-spec.ts";
import { startDockerd } from "../support/dockerd.ts";
import { whenPossible } from "../support/needs.ts";
import {
  type ConfigChanges,
  makePluginRootfs,
  type TestPluginKind,
  testPluginConfig,
  testPluginSettings,
} from "../support/plugin-rootfs.ts";

const id = "0123456789abcdef".repeat(4);

async function specOf(
  kind: TestPluginKind,
  changes: ConfigChanges = {},
  home = "/home",
  architecture = "x64",
): Promise<OciSpec> {
  const config = testPluginConfig(kind, changes);
  const settings = testPluginSettings(config);
  const propagated = kind === "propagated" ? `${home}/propagated-mount` : null;
  const request = { id, name: "a:b", rootfs: `${home}/rootfs`, propagated, config, settings };
  const devices = await findDevices(settings.devices);
  const facts = { architecture, devices, socketDirectory: "/sockets", cgroupPath: "/holdfast/x" };
  return ociSpec(request, facts);
}

function mount(destination: string, type: string, source: string, options: string[]): PluginMount {
  return { name: "", description: "", settable: null, destination, type, source, options };
}

function device(path: string): PluginDevice {
  return { name: "", description: "", settable: null, path };
}

function linux(capabilities: string[], devices: PluginDevice[], allowAllDevices = false) {
  return { linux: { capabilities, devices, allowAllDevices } };
}

const args = { name: "a", description: "", settable: ["value"], value: ["one", "two"] };

/** Each has what the others have not. */
const wishes: Readonly<Record<string, readonly [TestPluginKind, ConfigChanges]>> = {
  plain: ["rootfs", {}],
  propagated: ["propagated", {}],
  "of-the-host": [
    "propagated",
    {
      ...{ network: { type: "host" }, ipcHost: true, pidHost: true, workDir: "/tmp", args },
      mounts: [
        mount("/host-tmp", "bind", "/tmp", ["rbind", "ro"]),
        mount("/a-tmpfs", "tmpfs", "tmpfs", ["size=1m"]),
      ],
      ...linux(["CAP_SYS_ADMIN", "CAP_NET_ADMIN"], [device("/dev/null"), device("/dev/ptmx")]),
    },
  ],
  "all-devices": ["rootfs", { network: { type: "none" }, ...linux(["CAP_SYS_PTRACE"], [], true) }],
};

/** Ours differs by intention, or because places are other ones. */
function withoutDifferences(spec: unknown, home: string): unknown {
  const { ociVersion, process, root, mounts, linux: facts, ...others } = spec as OciSpec;
  // No version says anything else of what is used here.
  expect(ociVersion).toStartWith("1.0.2");
  // Docker's plugins have the OOM protection of the engine.
  const { oomScoreAdj, ...restOfProcess } = process as Partial<OciSpec["process"]>;
  expect([undefined, 0]).toContain(oomScoreAdj);
  // Docker leaves the control group to runc, and has no seccomp profile for plugins.
  const { cgroupsPath, seccomp, ...restOfLinux } = facts as Partial<OciSpec["linux"]>;
  expect(typeof cgroupsPath).toBe(typeof seccomp === "undefined" ? "undefined" : "string");
  // Docker shares what is mounted there with the host.
  const places = mounts.map((one) =>
    one.destination === "/run/docker/plugins"
      ? { ...one, source: "SOCKETS", options: ["rbind"] }
      : { ...one, source: moved(one.source, home) },
  );
  const rootPath = moved(root.path, home);
  return { ...others, process: restOfProcess, root: rootPath, mounts: places, linux: restOfLinux };
}

function moved(path: string, home: string): string {
  return path.startsWith(`${home}/`) ? `HOME${path.slice(home.length)}` : path;
}

whenPossible(["root", "dockerd", "docker-cli", "plugin-compiler"], "as Docker does", async () => {
  const folder = mkdtempSync("/dev/shm/hfo-");
  try {
    await using dockerd = await startDockerd({ dataRoot: join(folder, "root") });
    for (const [name, [kind, changes]] of Object.entries(wishes)) {
      const context = join(folder, name);
      await makePluginRootfs(context, kind, changes);
      // dockerd refuses a second plugin with the same files, to the second.
      writeFileSync(join(context, "rootfs/etc/name"), name);
      for (const words of [
        ["create", `t/${name}`, context],
        ["enable", `t/${name}`],
      ]) {
        const ended = await dockerd.docker("plugin", ...words);
        expect(ended).toMatchObject({ exit: 0 });
      }
      const inspect = ["plugin", "inspect", "--format", "{{.Id}}", `t/${name}`];
      const theirId = (await dockerd.docker(...inspect)).stdout.trim();
      const tasks = join(
        dockerd.socketPath,
        "../x/containerd/daemon/io.containerd.runtime.v2.task",
      );
      const bundle = join("/proc", String(dockerd.pid), "root", tasks, "plugins.moby", theirId);
      const theirs: unknown = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
      const home = join(folder, "root/plugins", theirId);
      const ours: unknown = JSON.parse(JSON.stringify(await specOf(kind, changes, home)));
      expect({ name, spec: withoutDifferences(ours, home) }).toEqual({
        name,
        spec: withoutDifferences(theirs, home),
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe("a mount", () => {
  const withMount = (one: PluginMount) => specOf("rootfs", { mounts: [one] });

  test("without a source is refused: nobody was asked about it", async () => {
    for (const type of ["bind", "proc", "overlay", "tmpfs"]) {
      const one = { ...mount("/x", type, "", []), source: null };
      await expect(withMount(one)).rejects.toThrow("mount source is not specified");
    }
  });

  test("shows what was granted, and nothing beside it", async () => {
    const { mounts } = await withMount(mount("/x", "bind", "", ["rbind"]));
    expect(mounts.find(({ destination }) => destination === "/x")?.type).toBe("tmpfs");
    for (const source of [".", "../../.."]) {
      const refused = withMount(mount("/x", "none", source, ["rbind"]));
      await expect(refused).rejects.toThrow("no absolute path");
    }
    for (const option of ["lowerdir=/etc", "lowerdir=..", "upperdir=x", "journal_path=/dev/sda"]) {
      const refused = withMount(mount("/x", "overlay", "overlay", ["ro", option]));
      await expect(refused).rejects.toThrow("nobody was asked about");
    }
  });
});

describe("the seccomp profile", () => {
  const names = (spec: OciSpec) => spec.linux.seccomp?.syscalls.flatMap((rule) => rule.names) ?? [];

  test("withholds calls that no capability of the plugin stands for", async () => {
    const plain = names(await specOf("rootfs"));
    for (const name of ["keyctl", "bpf", "mount", "clone3", "open_by_handle_at", "reboot"]) {
      expect(plain).toContain(name);
    }
    const admin = names(await specOf("propagated"));
    for (const name of ["keyctl", "bpf", "mount", "clone3", "unshare"]) {
      expect(admin).not.toContain(name);
    }
    expect(admin).toContain("open_by_handle_at");
    expect(admin).toContain("io_uring_setup");
  });

  test("is for processors that it knows", async () => {
    const arm = (await specOf("rootfs", {}, "/home", "arm64")).linux.seccomp;
    expect(arm?.architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
    const riscv = await specOf("rootfs", {}, "/home", "riscv64");
    expect(riscv.linux.seccomp).toBeUndefined();
  });
});

describe("devices", () => {
  test("are what lies at the path", async () => {
    expect(await findDevices([device("/dev/null"), device("/dev/full")])).toEqual([
      { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 },
      { path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 0o666, uid: 0, gid: 0 },
    ]);
    expect(await findDevices([{ ...device(""), path: null }])).toEqual([]);
    const refused = findDevices([device("/etc/hostname")]);
    await expect(refused).rejects.toThrow("not a device node");
  });

  test("are not looked for everywhere", async () => {
    const folder = mkdtempSync("/dev/shm/hfo-");
    try {
      for (let count = 0; count < 5_000; count++) writeFileSync(join(folder, String(count)), "");
      const refused = findDevices([device(folder)]);
      await expect(refused).rejects.toThrow("too many files are in it");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
