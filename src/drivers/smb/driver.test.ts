// What the `smb` driver has mounted for its options, how it logs in, and what it makes of
// mount.cifs's words.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { temporaryFolder } from "../../../test/support/driver-benches.ts";
import { failureOf, operation } from "../../../test/support/remote-bench.ts";
import { EngineError } from "../../core/errors.ts";
import type { MountRequest } from "../../core/host.ts";
import { parseVolumeName } from "../../core/names.ts";
import { SecretValue } from "../../core/secret-store.ts";
import { credentialLines } from "./credentials.ts";
import { smbMounts } from "./mounts.ts";
import { parseSmbOptions, type SmbOptions, smbAddress, smbRules } from "./options.ts";

let run: string;
beforeEach(() => {
  run = temporaryFolder("smb");
});
afterEach(() => rmSync(run, { recursive: true, force: true }));

const plain = { share: "//nas/media" };
const secretOf = (text: string) => new SecretValue(new TextEncoder().encode(text));

interface Asked extends MountRequest {
  /** Of the file with credentials, while it was there. */
  readonly lines: string | undefined;
  readonly mode: number | undefined;
}

async function mountWith(
  options: SmbOptions,
  how: { readonly words?: string; readonly secret?: string; readonly subpath?: string } = {},
): Promise<Asked> {
  let asked: Asked | undefined;
  const { mount } = smbMounts({
    async mount(request) {
      const file = /credentials=([^,]*)/.exec(request.options)?.[1];
      const lines = file === undefined ? undefined : readFileSync(file, "utf8");
      const mode = file === undefined ? undefined : statSync(file).mode & 0o777;
      asked = { ...request, lines, mode };
      if (how.words === undefined) return;
      throw new EngineError("volume.mount_failed", how.words, { details: { words: how.words } });
    },
    async unmount() {},
    async detach() {},
  });
  const { secret } = how;
  const request = {
    ...{ volume: parseVolumeName("wiki"), options, subpath: how.subpath ?? "", target: "/mnt" },
    ...{ isReadOnly: false, runDirectory: run, keepDirectory: "/keep" },
    secret: secret === undefined ? undefined : async () => secretOf(secret),
  };
  await mount(request, operation);
  if (asked === undefined) throw new Error("nothing was mounted");
  return asked;
}

describe("options", () => {
  test("without a secret it is a guest", async () => {
    const { type, device, options } = await mountWith(parseSmbOptions(plain));
    expect({ type, device, options }).toEqual({
      type: "cifs",
      device: "//nas/media",
      options: "guest,rw,nosuid,nodev,hard",
    });
  });

  test("all of them", async () => {
    const options = parseSmbOptions({
      ...{ share: "//[fd00::1]/media/music/", version: "3.1.1", port: "1445", uid: "1000" },
      ...{ gid: "100", "file-mode": "0640", "dir-mode": "0750", "on-timeout": "fail" },
      options: "mfsymlinks,nobrl",
    });
    const asked = await mountWith(options, { subpath: "a/b" });
    expect(asked.device).toBe("//fd00::1/media/music/a/b");
    expect(asked.options).toBe(
      "guest,rw,nosuid,nodev,soft,vers=3.1.1,port=1445,uid=1000,gid=100,file_mode=0640," +
        "dir_mode=0750,mfsymlinks,nobrl",
    );
    expect(smbAddress(options)).toEqual({ host: "fd00::1", port: 1445 });
  });

  test.each(["a,ip=6.6.6.6", "a/..\\..\\b"])("the subpath %s is refused", (subpath) => {
    expect(() => parseSmbOptions({ ...plain, subpath })).toThrow(/"subpath": no commas/);
  });

  test.each(["credentials=/etc/shadow", "username=me", "prefixpath=x", "soft", "guest"])(
    "the further word %s is refused",
    (words) => {
      expect(() => parseSmbOptions({ ...plain, options: words })).toThrow(/is not among/);
    },
  );

  test.each([
    ["//nas/media", true],
    ["//10.0.0.5/media/a b", true],
    ["//nas", false],
    ["//nas/", false],
    ["/nas/media", false],
    ["//nas/media/../other", false],
    ["//nas/a,b", false],
    ["//me@nas/media", false],
    ["\\\\nas\\media", false],
  ])("share=%s: %p", (value, isAccepted) => {
    expect(smbRules.find(({ name }) => name === "share")?.rule?.accepts(value)).toBe(isAccepted);
  });
});

describe("the secret", () => {
  test("is in a file of mode 0600 while it is mounted, and nowhere afterwards", async () => {
    const secret = "username=me\npassword=hu,sh=1\ndomain=WORK\n";
    const { lines, mode, options } = await mountWith(parseSmbOptions(plain), { secret });
    expect(lines).toBe(secret);
    expect(mode).toBe(0o600);
    expect(options).toBe(`credentials=${run}/credentials,rw,nosuid,nodev,hard`);
    expect(readdirSync(run)).toEqual([]);
  });

  test("is gone after a failure, too, and in no word of it", async () => {
    const how = {
      secret: "username=me\npassword=hush",
      words: "mount error(13): Permission denied",
    };
    const failure = await failureOf(mountWith(parseSmbOptions(plain), how));
    expect(failure.code).toBe("remote.denied");
    expect(JSON.stringify([failure.message, failure.details])).not.toInclude("hush");
    expect(readdirSync(run)).toEqual([]);
  });

  test("of one line is the password of `user`", async () => {
    const options = parseSmbOptions({ ...plain, user: "me" });
    const { lines } = await mountWith(options, { secret: "hu=sh\n" });
    expect(lines).toBe("username=me\npassword=hu=sh\n");
  });

  test("a user without one is refused", async () => {
    const options = parseSmbOptions({ ...plain, user: "me" });
    expect((await failureOf(mountWith(options))).message).toInclude("-o secret=NAME");
  });

  test("other spellings are known, other lines are refused without being repeated", () => {
    const lines = credentialLines(secretOf("user=me\npass=hush\nworkgroup=W\n"), undefined);
    expect(lines).toBe("username=me\npassword=hush\ndomain=W\n");
    for (const text of ["hush", "username=me\nhush", "password=hush", ""]) {
      expect(() => credentialLines(secretOf(text), undefined)).toThrow(/^(?!.*hush)/);
    }
  });
});

test.each([
  ["mount error(13): Permission denied; Refer to the mount.cifs(8) manual page", "remote.denied"],
  ["mount error(2): No such file or directory", "remote.not_found"],
  [
    "mount error(113): could not connect to 10.0.0.5Unable to find suitable address.",
    "remote.unreachable",
  ],
  ["mount error(112): Host is down", "remote.unreachable"],
  ["mount error: could not resolve address for nas: Unknown error", "remote.unreachable"],
  ["mount error(22): Invalid argument", "volume.mount_failed"],
] as const)("%s", async (words, code) => {
  const failure = await failureOf(mountWith(parseSmbOptions(plain), { words }));
  expect(failure.code).toBe(code);
  expect(failure.message).not.toInclude("manual page");
});
