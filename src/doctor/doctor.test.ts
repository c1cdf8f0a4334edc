// Each look at crafted surroundings, and at real storage that does not answer.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { whenPossible } from "../../test/support/needs.ts";
import type { Finding } from "../core/doctor.ts";
import { EngineError } from "../core/errors.ts";
import type { MountInfo } from "../core/host.ts";
import { makeOperationId } from "../core/names.ts";
import { silentLog, systemCaller } from "../core/operation.ts";
import { linuxHost } from "../host/linux.ts";
import { makeStuckFolder } from "../host/stuck-folder.fixture.ts";
import { lookAtDocker } from "./docker.ts";
import { lookAtKernel, lookAtUser } from "./kernel.ts";
import type { Look, Machine } from "./machine.ts";
import { lookAtPodman } from "./podman.ts";
import { runLooks } from "./run-looks.ts";
import {
  lookAtApiSocket,
  lookAtLockSocket,
  lookAtOtherDrivers,
  lookAtPluginSocket,
} from "./sockets.ts";
import { lookAtStorage } from "./storage.ts";
import { lookAtTools } from "./tools.ts";
import { knock } from "./unix-socket.ts";

let folder: string;
let machine: Machine;
const servers: Server[] = [];
const connections: Socket[] = [];
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/hfd-");
  machine = {
    host: linuxHost(),
    userId: 0,
    dataRoot: join(folder, "root"),
    secretKey: join(folder, "etc", "secret.key"),
    sockets: { api: join(folder, "a"), plugin: join(folder, "p"), docker: join(folder, "d") },
    fileRoot: folder,
  };
  put("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  for (const server of servers.splice(0)) {
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

function put(file: string, text: string): void {
  mkdirSync(join(folder, dirname(file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

function look(one: Look, changes: Partial<Machine> = {}): Promise<readonly Finding[]> {
  return one(
    { ...machine, ...changes },
    {
      ...{ id: makeOperationId("t"), caller: systemCaller, log: silentLog },
      signal: AbortSignal.timeout(10_000),
    },
  );
}

/** `severity found`, for comparisons that are easy to read. */
async function lines(one: Look, changes: Partial<Machine> = {}): Promise<readonly string[]> {
  return (await look(one, changes)).map(({ severity, found }) => `${severity} ${found}`);
}

/** `reply` is all that a client gets; undefined: nothing, ever. */
async function listenAt(path: string, reply?: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const server = createServer((socket) => {
    connections.push(socket);
    socket.on("error", () => undefined);
    if (reply !== undefined) socket.on("data", () => socket.end(reply));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o660);
}

/** A socket on which nobody listens any more, as a kill -9 leaves it. */
async function deadSocketAt(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const code = "socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(shift))";
  await Bun.spawn(["perl", "-MSocket", "-e", code, path]).exited;
}

/** A machine on which only these programs are, and say these words. */
function withPrograms(programs: Readonly<Record<string, string>>): Partial<Machine> {
  const run: Machine["host"]["run"] = async (program) => {
    const stdout = programs[program];
    if (stdout !== undefined) return { exitCode: 0, stdout, stderr: "" };
    throw new EngineError("host.program_missing", program);
  };
  return { host: { ...machine.host, run } };
}

test("the kernel is told by its numbers", async () => {
  const kernels = [
    ["6.1.0-13-amd64", "ok"],
    ["5.12.0", "ok"],
    ["5.11.22", "problem"],
    ["4.19.0", "problem"],
    ["10.0", "ok"],
    ["", "warning"],
  ] as const;
  for (const [release, severity] of kernels) {
    put("/proc/sys/kernel/osrelease", `${release}\n`);
    expect((await look(lookAtKernel)).map((finding) => finding.severity)).toEqual([severity]);
  }
  expect(await lines(lookAtUser)).toEqual(["ok root"]);
  expect((await look(lookAtUser, { userId: 1000 }))[0]).toMatchObject({ severity: "note" });
});

describe("the data root", () => {
  const onMount = (changes: Partial<MountInfo>): Partial<Machine> => ({
    host: {
      ...machine.host,
      mounts: () => [
        {
          ...{ mountId: 1, parentId: 0, device: "8:1", root: "/", target: "/", options: ["rw"] },
          ...{ propagation: ["shared:1"], fileSystem: "ext4", source: "/dev/sda1", ...changes },
        },
      ],
    },
  });
  const bad = async (changes: Partial<MountInfo>) => {
    const findings = await look(lookAtStorage, onMount(changes));
    return findings
      .filter(({ severity }) => severity === "warning" || severity === "problem")
      .map(({ severity, about }) => `${severity} ${about}`);
  };

  test("is judged by its file system, options and propagation", async () => {
    expect(await bad({})).toEqual([]);
    expect(await bad({ fileSystem: "nfs4" })).toEqual(["problem file system"]);
    expect(await bad({ fileSystem: "tmpfs" })).toEqual(["warning file system"]);
    expect(await bad({ fileSystem: "zfs" })).toEqual([]);
    expect(await bad({ options: ["ro"] })).toEqual(["problem file system"]);
    expect(await bad({ propagation: [] })).toEqual(["warning propagation"]);
    expect(await bad({ propagation: ["master:3"] })).toEqual(["warning propagation"]);
  });

  test("need not be there yet; reflinks are tried and leave nothing", async () => {
    expect(await lines(lookAtStorage)).toContain(
      `note ${machine.dataRoot} is not there yet: the daemon makes it`,
    );
    mkdirSync(machine.dataRoot);
    writeFileSync(join(machine.dataRoot, "lock"), "");
    const findings = await look(lookAtStorage);
    expect(findings.find(({ about }) => about === "reflink")?.found).toStartWith("files can");
    expect(findings.find(({ about }) => about === "free space")?.found).toMatch(/^[\d.]+ of /);
    expect(readdirSync(machine.dataRoot)).toEqual(["lock"]);
  });

  whenPossible(["root", "fuse"], "that does not answer is found out by the deadline", async () => {
    await using stuck = await makeStuckFolder();
    const startedMs = performance.now();
    const dataRoot = join(stuck.path, "root");
    const looks = [["data root", lookAtStorage]] as const;
    const [finding] = await runLooks({ ...machine, dataRoot }, { looks, lookMsMax: 500 });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(finding).toMatchObject({ severity: "problem", about: "data root" });
    expect(finding?.found).toContain("within 0.5 s");
  });
});

test("a look that hangs for ever or throws is a finding, and takes no other along", async () => {
  const looks = [
    ["hangs", () => new Promise<never>(() => undefined)],
    ["throws", () => Promise.reject(new Error("oh no"))],
    ["kernel", lookAtKernel],
  ] as const;
  const found = await runLooks(machine, { looks, lookMsMax: 50 });
  expect(found.map(({ severity, about }) => `${severity} ${about}`)).toEqual([
    "problem hangs",
    "warning throws",
    "ok kernel",
  ]);
});

describe("our own sockets", () => {
  test("that listen are fine, unless everybody may connect", async () => {
    await listenAt(machine.sockets.api);
    await listenAt(join(folder, "p"));
    expect((await lines(lookAtApiSocket))[0]).toStartWith(
      `ok ${machine.sockets.api} listens, mode 0660, owner `,
    );
    expect((await lines(lookAtPluginSocket))[0]).toStartWith("ok ");
    chmodSync(machine.sockets.api, 0o666);
    chmodSync(join(folder, "p"), 0o666);
    expect((await look(lookAtApiSocket))[0]?.severity).toBe("problem");
    expect((await look(lookAtPluginSocket))[0]?.severity).toBe("problem");
  });

  test("that are missing or dead say what to start", async () => {
    expect((await look(lookAtApiSocket))[0]?.severity).toBe("warning");
    expect((await look(lookAtPluginSocket))[0]?.severity).toBe("warning");
    await deadSocketAt(machine.sockets.api);
    await deadSocketAt(join(folder, "p"));
    expect((await look(lookAtApiSocket))[0]?.found).toEndWith("it is dead");
    const [finding] = await look(lookAtPluginSocket);
    expect(finding).toMatchObject({ severity: "problem" });
    expect(finding?.found).toContain("15 seconds");
    const sockets = { ...machine.sockets, plugin: undefined };
    expect((await look(lookAtPluginSocket, { sockets }))[0]?.severity).toBe("note");
  });
});

test("the socket for locks is looked at where a daemon told of one", async () => {
  expect(await lines(lookAtLockSocket)).toEqual([]);
  const locks = join(folder, "l");
  const sockets = { ...machine.sockets, locks };
  expect(await lines(lookAtLockSocket, { sockets })).toEqual([
    `warning ${locks} is absent: containers get no locks`,
  ]);
  await listenAt(locks);
  expect(await lines(lookAtLockSocket, { sockets })).toEqual([`ok ${locks} listens`]);
});

test("a socket whose queue is full is silent, and nobody waits for it", async () => {
  const path = join(folder, "full");
  const code =
    "socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(shift)); listen(S, 0);" +
    "syswrite(STDOUT, 'listens'); sleep(60)";
  const child = Bun.spawn(["perl", "-MSocket", "-e", code, path], { stdout: "pipe" });
  try {
    await child.stdout.getReader().read();
    const fill = connect(path);
    await once(fill, "connect");
    connections.push(fill);
    expect(await knock(path)).toBe("silent");
  } finally {
    child.kill();
    await child.exited;
  }
});

test("what other drivers left in Docker's way is found in every place", async () => {
  expect((await look(lookAtOtherDrivers))[0]?.severity).toBe("ok");
  await listenAt(join(folder, "run/docker/plugins/alive.sock"));
  await deadSocketAt(join(folder, "run/docker/plugins/dead.sock"));
  await deadSocketAt(join(folder, "run/docker/plugins/deep/deep.sock"));
  // Docker does not look here.
  await deadSocketAt(join(folder, "run/docker/plugins/deep/other.sock"));
  put("/etc/docker/plugins/gone.spec", `unix://${folder}/gone.sock\n`);
  put("/etc/docker/plugins/far.spec", "tcp://localhost:1\n");
  put(
    "/usr/lib/docker/plugins/j.json",
    `{"Addr":"unix://${folder}/run/docker/plugins/alive.sock"}`,
  );
  put("/usr/lib/docker/plugins/bad.json", "{");
  const found = (await look(lookAtOtherDrivers)).map(
    ({ severity, found: words }) => `${severity} ${words.replaceAll(folder, "")}`,
  );
  expect(
    found.map((line) =>
      line
        .replace(/ \(.*\)/, "")
        .split(" ")
        .slice(0, 4)
        .join(" "),
    ),
  ).toEqual([
    "ok /run/docker/plugins/alive.sock listens",
    "warning /run/docker/plugins/dead.sock is dead:",
    "warning /run/docker/plugins/deep/deep.sock is dead:",
    "note /etc/docker/plugins/far.spec names tcp://localhost:1,",
    "warning /etc/docker/plugins/gone.spec names /gone.sock,",
    "note /usr/lib/docker/plugins/bad.json names what",
    "ok /usr/lib/docker/plugins/j.json: /run/docker/plugins/alive.sock listens",
  ]);
});

describe("docker", () => {
  const installed = { dockerd: "Docker version 27.0.1, build x\n" };
  const reply = (info: object) => {
    const body = JSON.stringify(info);
    return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  };
  const runs = (namespace = "mnt:[1]", table = "") => {
    put("/proc/77/comm", "dockerd\n");
    put("/proc/77/mountinfo", table);
    mkdirSync(join(folder, "proc/77/ns"));
    symlinkSync(namespace, join(folder, "proc/77/ns/mnt"));
    mkdirSync(join(folder, "proc/self/ns"), { recursive: true });
    symlinkSync("mnt:[1]", join(folder, "proc/self/ns/mnt"));
  };

  test("may be missing, or stopped", async () => {
    expect(await lines(lookAtDocker, withPrograms({}))).toEqual(["note no dockerd is installed"]);
    expect(await lines(lookAtDocker, withPrograms(installed))).toEqual([
      "ok installed: Docker version 27.0.1, build x",
      "note dockerd does not run",
    ]);
  });

  test("answers, and has user namespaces", async () => {
    runs();
    const SecurityOptions = ["name=seccomp,profile=default", "name=userns"];
    await listenAt(machine.sockets.docker, reply({ ServerVersion: "27.0.1", SecurityOptions }));
    const found = await lines(lookAtDocker, withPrograms(installed));
    expect(found[1]).toStartWith("ok dockerd runs (pid 77) and answers on ");
    expect(found[2]).toStartWith("warning userns-remap");
    expect(found[3]).toBe("ok dockerd 77 is in this mount namespace");
  });

  test("runs and does not answer", async () => {
    runs();
    await listenAt(machine.sockets.docker);
    const found = await lines(lookAtDocker, withPrograms(installed));
    expect(found[1]).toStartWith("problem dockerd runs (pid 77), and does not answer on");
  });

  test("in another mount namespace must get new mounts", async () => {
    runs("mnt:[2]", "30 1 8:1 / / rw shared:9 master:1 - ext4 /dev/sda1 rw\n");
    const table = (...propagation: string[]): readonly MountInfo[] => [
      {
        ...{ mountId: 1, parentId: 0, device: "8:1", root: "/", target: "/", options: ["rw"] },
        ...{ propagation, fileSystem: "ext4", source: "/dev/sda1" },
      },
    ];
    const seen = async (...propagation: string[]) => {
      const { host = machine.host } = withPrograms(installed);
      const mounts = () => table(...propagation);
      return (await lines(lookAtDocker, { host: { ...host, mounts } })).at(-1);
    };
    expect(await seen("shared:1")).toStartWith("ok dockerd 77 is in a mount namespace of its own");
    expect(await seen("shared:2")).toStartWith("problem ");
    expect(await seen()).toStartWith("problem ");
  });
});

test("podman needs a line of its own", async () => {
  expect(await lines(lookAtPodman, withPrograms({}))).toEqual(["note no podman is installed"]);
  const installed = withPrograms({ podman: "podman version 4.3.1\n" });
  const [, missing] = await look(lookAtPodman, installed);
  expect(missing).toMatchObject({ severity: "warning" });
  expect(missing?.fix).toEndWith(`[engine.volume_plugins]\nholdfast = "${folder}/p"`);
  put("/etc/containers/containers.conf", '[engine.volume_plugins]\nholdfast = "/other.sock"\n');
  expect((await look(lookAtPodman, installed))[1]?.found).toContain("at /other.sock, and not at");
  const conf = `[engine.volume_plugins]\nholdfast = "${folder}/p"\n`;
  put("/etc/containers/containers.conf.d/holdfast.conf", conf);
  expect((await look(lookAtPodman, installed))[1]?.severity).toBe("ok");
  put("/usr/share/containers/containers.conf", "[engine\n");
  expect((await lines(lookAtPodman, installed))[1]).toContain("cannot be read");
});

test("programs are told by their version, and what is missing by its package", async () => {
  const programs = { mount: "mount from util-linux 2.38 (libmount 2.38: x)\n", umount: "umount 2" };
  const found = await look(lookAtTools, withPrograms(programs));
  expect(found[0]).toEqual({
    severity: "ok",
    about: "program mount",
    found: "mount from util-linux 2.38",
  });
  expect(found[2]).toMatchObject({ severity: "problem", fix: "apt-get install coreutils" });
  expect(found.find(({ about }) => about === "program mount.nfs")).toMatchObject({
    severity: "note",
    fix: "apt-get install nfs-common",
  });
});

test("managed plugins need conmon, and runc or a crun that runs here", async () => {
  const last = async (programs: Readonly<Record<string, string>>) =>
    (await look(lookAtTools, withPrograms(programs))).slice(-2);
  expect(await last({})).toMatchObject([
    { severity: "note", about: "program conmon", fix: "apt-get install conmon" },
    { severity: "note", about: "program runc", fix: "apt-get install runc" },
  ]);
  const both = { conmon: "conmon version 2.1.6\n", runc: "runc version 1.1.5\n", crun: "crun 1\n" };
  expect(await last(both)).toMatchObject([
    { severity: "ok", found: "conmon version 2.1.6" },
    { severity: "ok", found: "runc version 1.1.5" },
  ]);
  const crunAlone = { conmon: "conmon version 2.1.6\n", crun: "crun version 1.8.1\n" };
  expect((await last(crunAlone))[1]).toMatchObject({ severity: "ok", found: "crun version 1.8.1" });
  put("/sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n");
  expect((await last(crunAlone))[1]).toMatchObject({
    severity: "note",
    found: "it is missing, and crun runs no managed plugins here: cgroup version 2 has hugetlb",
    fix: "apt-get install runc",
  });
});
