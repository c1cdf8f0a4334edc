// News for the service manager, sockets from it, and the numbers of groups.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { groupId, inheritedListeners, sdNotify } from "./service.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-service-");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Debian's own Perl stands in for a service manager: it prints the first datagram and ends. */
function manager(address: string) {
  const code =
    "socket(S, PF_UNIX, SOCK_DGRAM, 0); $ARGV[0] =~ s/^@/\\0/; bind(S, sockaddr_un($ARGV[0]));" +
    "recv(S, $words, 4096, 0); syswrite(STDOUT, $words)";
  return Bun.spawn(["perl", "-MSocket", "-e", code, address], { stdout: "pipe" });
}

async function firstWords(process: ReturnType<typeof manager>): Promise<string> {
  const { value } = await process.stdout.getReader().read();
  process.kill();
  await process.exited;
  return new TextDecoder().decode(value);
}

describe("sdNotify", () => {
  test("sends to a socket in the file system", async () => {
    const path = join(folder, "notify");
    const listening = manager(path);
    while (!existsSync(path)) await Bun.sleep(2);
    expect(sdNotify("READY=1\nSTATUS=up", { NOTIFY_SOCKET: path })).toBe(true);
    expect(await firstWords(listening)).toBe("READY=1\nSTATUS=up");
  });

  test("sends to an abstract socket", async () => {
    const name = `holdfast-test-${process.pid}`;
    const listening = manager(`@${name}`);
    while (!(await Bun.file("/proc/net/unix").text()).includes(`@${name}`)) await Bun.sleep(2);
    expect(sdNotify("STOPPING=1", { NOTIFY_SOCKET: `@${name}` })).toBe(true);
    expect(await firstWords(listening)).toBe("STOPPING=1");
  });

  test("does nothing where nobody asked, and says why it cannot", () => {
    expect(sdNotify("READY=1", {})).toBe(false);
    expect(() => sdNotify("READY=1", { NOTIFY_SOCKET: join(folder, "none") })).toThrow("ENOENT");
    expect(() => sdNotify("READY=1", { NOTIFY_SOCKET: "relative" })).toThrow("no path");
    expect(() => sdNotify("READY=1", { NOTIFY_SOCKET: `/${"x".repeat(108)}` })).toThrow("no path");
  });
});

describe("inheritedListeners", () => {
  type Expected = readonly (readonly [descriptor: number, name: string])[];
  const cases: readonly [string, Record<string, string>, Expected][] = [
    [
      "two sockets",
      { LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "api:plugin" },
      [
        [3, "api"],
        [4, "plugin"],
      ],
    ],
    ["a socket without names", { LISTEN_PID: "42", LISTEN_FDS: "1" }, [[3, "unknown"]]],
    [
      "more sockets than names",
      { LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "plugin" },
      [
        [3, "plugin"],
        [4, "unknown"],
      ],
    ],
    ["another process's", { LISTEN_PID: "41", LISTEN_FDS: "2" }, []],
    ["none", {}, []],
    ["nonsense", { LISTEN_PID: "42", LISTEN_FDS: "-1" }, []],
    ["too many", { LISTEN_PID: "42", LISTEN_FDS: "1000" }, []],
  ];
  for (const [what, variables, expected] of cases) {
    test(`reads ${what} and takes the variables away`, () => {
      const environment = { ...variables, OTHER: "1" };
      expect(inheritedListeners(environment, 42)).toEqual(
        expected.map(([descriptor, socket]) => ({ descriptor, name: socket })),
      );
      expect(environment).toEqual({ OTHER: "1" });
    });
  }

  test("names a descriptor on which a started daemon can really listen", async () => {
    const path = join(folder, "socket");
    const module = new URL("./service.ts", import.meta.url).pathname;
    const code = `
      const { inheritedListeners } = await import(${JSON.stringify(module)});
      const [{ descriptor: fd }] = inheritedListeners();
      const server = require("node:net").createServer((socket) => socket.end("from the daemon"));
      server.listen({ fd }, () => console.log(fd, process.env.LISTEN_FDS));
    `;
    // What systemd does: a listening socket as descriptor 3, two variables, exec.
    const activate =
      "$^F = 9; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(shift)); listen(S, 8);" +
      "$ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1; exec @ARGV";
    const daemon = [process.execPath, "-e", code];
    const child = Bun.spawn(["perl", "-MSocket", "-e", activate, path, ...daemon], {
      stdout: "pipe",
    });
    try {
      const { value } = await child.stdout.getReader().read();
      expect(new TextDecoder().decode(value)).toBe("3 undefined\n");
      const { promise: answer, resolve } = Promise.withResolvers<string>();
      await Bun.connect({ unix: path, socket: { data: (_, bytes) => resolve(bytes.toString()) } });
      expect(await answer).toBe("from the daemon");
    } finally {
      child.kill();
      await child.exited;
    }
  });
});

test("groupId reads /etc/group and nothing else", () => {
  const path = join(folder, "group");
  writeFileSync(path, "root:x:0:\n# docker:x:7:\nbroken\nempty:x::\ndocker:x:998:me,you\n");
  expect(groupId("docker", path)).toBe(998);
  for (const name of ["dock", "broken", "empty", "me", ""]) {
    expect(groupId(name, path)).toBeUndefined();
  }
  expect(groupId("root")).toBe(0);
});
