// What the `nfs` driver has mounted for its options, and what it makes of mount.nfs's words.
import { describe, expect, test } from "bun:test";
import net from "node:net";
import { failureOf, operation } from "../../../test/support/remote-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { MountRequest } from "../../core/host.ts";
import { parseVolumeName } from "../../core/names.ts";
import { greetNfs } from "./greet.ts";
import { nfsMounts } from "./mounts.ts";
import { type NfsOptions, nfsAddress, nfsDevice, nfsRules, parseNfsOptions } from "./options.ts";

const plain = { server: "nas", path: "/export" };

async function mountWith(
  options: NfsOptions,
  how: { readonly words?: string; readonly subpath?: string; readonly isReadOnly?: boolean } = {},
): Promise<MountRequest> {
  let asked: MountRequest | undefined;
  const { mount } = nfsMounts({
    async mount(request) {
      asked = request;
      if (how.words === undefined) return;
      throw new EngineError("volume.mount_failed", how.words, { details: { words: how.words } });
    },
    async unmount() {},
    async detach() {},
  });
  const request = {
    ...{ volume: parseVolumeName("wiki"), options, subpath: how.subpath ?? "", target: "/mnt" },
    ...{ isReadOnly: how.isReadOnly ?? false, secret: undefined },
    ...{ runDirectory: "/run/wiki", keepDirectory: "/keep" },
  };
  await mount(request, operation);
  if (asked === undefined) throw new Error("nothing was mounted");
  return asked;
}

describe("options", () => {
  test("waiting is the default, and trying again is the driver's", async () => {
    expect(await mountWith(parseNfsOptions(plain))).toEqual({
      type: "nfs",
      device: "nas:/export",
      target: "/mnt",
      options: "rw,nosuid,nodev,retry=0,hard,vers=4",
    });
  });

  test("all of them", async () => {
    const options = parseNfsOptions({
      ...{ server: "[fd00::1]", path: "/export/", version: "4.2", port: "12049" },
      ...{ "on-timeout": "fail", options: "nconnect=4,noatime" },
    });
    const asked = await mountWith(options, { subpath: "a/b", isReadOnly: true });
    expect(asked.device).toBe("[fd00::1]:/export/a/b");
    expect(asked.options).toBe(
      "ro,nosuid,nodev,retry=0,softerr,timeo=100,retrans=2,vers=4.2,port=12049,nconnect=4,noatime",
    );
    expect(nfsAddress(options)).toEqual({ host: "fd00::1", port: 12_049 });
  });

  test("the root of the server's name space", () => {
    expect(nfsDevice(parseNfsOptions({ server: "nas", path: "/" }), "")).toBe("nas:/");
    expect(nfsDevice(parseNfsOptions({ server: "nas", path: "/" }), "a")).toBe("nas:/a");
  });

  test.each(["soft", "bg", "addr=1.2.3.4", "vers=3", "password=hush", "x;y"])(
    "the further word %s is refused",
    (words) => {
      expect(() => parseNfsOptions({ ...plain, options: words })).toThrow(/is not among/);
    },
  );

  test.each([
    ["server", "nas_1.lan", true],
    ["server", "10.0.0.5", true],
    ["server", "fe80::1%eth0", true],
    ["server", "nas:/export", false],
    ["server", "-o", false],
    ["server", "nas,ro", false],
    ["path", "export", false],
    ["path", "/a/../b", false],
    ["port", "0", false],
    ["port", "65536", false],
  ])("%s=%s: %p", (name, value, isAccepted) => {
    const rule = nfsRules.find((each) => each.name === name)?.rule;
    expect(rule?.accepts(value)).toBe(isAccepted);
  });
});

test.each([
  ["mount.nfs: access denied by server while mounting nas:/export", "remote.denied"],
  [
    "mount.nfs: mounting nas:/export failed, reason given by server: No such file or directory",
    "remote.not_found",
  ],
  ["mount.nfs: Connection refused for nas:/export on /mnt", "remote.unreachable"],
  ["mount.nfs: Connection timed out for nas:/export on /mnt", "remote.unreachable"],
  ["mount.nfs: Failed to resolve server nas: Name or service not known", "remote.unreachable"],
  ["mount.nfs: an incorrect mount option was specified", "volume.mount_failed"],
] as const)("%s", async (words, code) => {
  const failure = await failureOf(mountWith(parseNfsOptions(plain), { words }));
  expect(failure.code).toBe(code);
  expect(failure.message).toInclude(words);
});

test("a server without version 4 is told how it can be had", async () => {
  const words = "mount.nfs: requested NFS version or transport protocol is not supported";
  const failure = await failureOf(mountWith(parseNfsOptions(plain), { words }));
  expect(failure.message).toEndWith(
    "(the server does not have this version: an old one may need `-o version=3`)",
  );
});

describe("the greeting", () => {
  const id = 0x0102_0304;

  async function greeted(answer: (call: Buffer) => Buffer | undefined): Promise<void> {
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (call: Buffer) => {
        const said = answer(call);
        if (said === undefined) socket.destroy();
        else socket.write(said);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    try {
      const where = { host: "127.0.0.1", port: address.port };
      await greetNfs(where, { version: 4, id }, AbortSignal.timeout(5_000));
    } finally {
      server.close();
    }
  }

  test("is the call that does nothing, and any answer to it will do", async () => {
    let heard: Buffer | undefined;
    await greeted((call) => {
      heard = call;
      return Buffer.concat([Buffer.from([0x80, 0, 0, 4]), call.subarray(4, 8)]);
    });
    const words = "80000028 01020304 00000000 00000002 000186a3 00000004 00000000";
    expect(heard?.toString("hex")).toStartWith(words.replaceAll(" ", ""));
    expect(heard?.length).toBe(44);
  });

  test("another's answer, and hanging up, are none", async () => {
    const failure = await failureOf(greeted(() => Buffer.alloc(8)));
    expect(failure.message).toInclude("answers another call");
    expect((await failureOf(greeted(() => undefined))).code).toBe("remote.unreachable");
  });
});
