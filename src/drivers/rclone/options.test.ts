// The options of the rclone driver: remotes, settings of backends, what belongs into a secret.
import { describe, expect, test } from "bun:test";
import { linuxHost } from "../../host/linux.ts";
import { readOptions } from "../../remote/options.ts";
import { rcloneKind } from "./driver.ts";
import { rcloneAddress, rcloneServer } from "./options.ts";

const kind = rcloneKind(linuxHost());
const read = (options: Readonly<Record<string, string>>) => readOptions(kind, options).own;
const refusal = (options: Readonly<Record<string, string>>) => {
  try {
    read(options);
    return "none";
  } catch (thrown) {
    return String(thrown);
  }
};

test("a remote, its settings and the defaults", () => {
  const options = read({ remote: "s3:photos/2026", "s3-endpoint": "http://10.0.0.5:9000" });
  expect(options).toMatchObject({ remote: "s3", path: "photos/2026", writeBackSeconds: 1 });
  expect([...options.settings]).toEqual([["s3-endpoint", "http://10.0.0.5:9000"]]);
});

describe("refused", () => {
  for (const remote of ["s3", ":s3:b", "s3,env_auth=true:b", "s3:../b", "s3:a/../b", " s3:b"]) {
    test(JSON.stringify(remote), () => expect(refusal({ remote })).toContain("NAME:PATH"));
  }
  for (const name of [
    "s3-secret-access-key",
    "s3-session-token",
    "webdav-pass",
    "webdav-bearer-token",
    "azureblob-key",
    "azureblob-sas-url",
    "sftp-key-pem",
    "drive-client-secret",
    "crypt-password2",
    "drive-service-account-credentials",
    "storj-passphrase",
    "storj-access-grant",
    "webdav-headers",
    "iclouddrive-cookies",
  ]) {
    test(name, () => {
      const said = refusal({ remote: "s3:b", [name]: "of-the-secret" });
      expect(said).toContain(name);
      expect(said).not.toContain("of-the-secret");
    });
  }
  for (const name of [
    "webdav-bearer-token-command",
    "sftp-ssh",
    "azureblob-use-az",
    "sftp-key-file",
    "gcs-service-account-file",
    "s3-shared-credentials-file",
    "cache-db-path",
  ]) {
    test(`${name}, which root would run, read or write`, () => {
      const [prefix = ""] = name.split("-");
      expect(refusal({ remote: `${prefix}:b`, [name]: "/x" })).toContain(`"${name}"`);
    });
  }
  for (const remote of [":webdav,url=x:", "a,bearer_token_command=/x:", ":local:/etc"]) {
    test(`a remote with settings below a remote: ${remote}`, () => {
      expect(refusal({ remote: "alias:b", "alias-remote": remote })).toContain("alias-remote");
      const upstreams = `a=nas:x b=${remote}`;
      expect(refusal({ remote: "combine:", "combine-upstreams": upstreams })).toContain(
        "upstreams",
      );
    });
  }
  test("a reference to what is in the secret", () => {
    const url = "http://nas/%(pass)s";
    expect(refusal({ remote: "webdav:", "webdav-url": url })).toContain("without %(");
    const below = { remote: "alias:", "alias-remote": "nas:%(pass)s" };
    expect(refusal(below)).toContain("alias-remote");
  });
  test("the setting of another backend", () => {
    expect(refusal({ remote: "s3:b", "webdav-url": "http://a" })).toContain('begin with "s3-"');
  });
  test("a name of no backend", () => {
    expect(refusal({ remote: "s3:b", "s33-endpoint": "a" })).toContain("s33-endpoint");
    expect(refusal({ remote: "s3:b", config: "/etc/passwd" })).toContain("config");
  });
  test("a write-back of 0, which rclone does once and never again", () => {
    expect(refusal({ remote: "s3:b", "write-back": "0" })).toContain("write-back");
  });
  test("a poll that is no shorter than what it is to shorten", () => {
    expect(refusal({ remote: "drive:", poll: "60" })).toContain("poll");
  });
});

test("remotes that stand on others", () => {
  for (const value of ["nas:a/b", "nas:", "a=nas:x b=s3:y", "nas:a nas:b:ro"]) {
    const isPlain = refusal({ remote: "union:", "union-upstreams": value }) === "none";
    expect([value, isPlain]).toEqual([value, true]);
  }
});

test("a section of a secret may have settings of any backend, which the mount checks", () => {
  const options = read({ remote: "nas:", secret: "nas", "webdav-url": "http://a" });
  expect(options.settings.size).toBe(1);
});

test("the server, and where it answers", () => {
  const of = (options: Readonly<Record<string, string>>) => {
    const own = read(options);
    return { server: rcloneServer(own), address: rcloneAddress(own) };
  };
  expect(of({ remote: "s3:b/x", "s3-endpoint": "http://[::1]:9000" })).toEqual({
    server: "[::1]:9000",
    address: { host: "::1", port: 9000 },
  });
  expect(of({ remote: "s3:b/x", "s3-endpoint": "s3.example.org" })).toEqual({
    server: "s3.example.org",
    address: { host: "s3.example.org", port: 443 },
  });
  expect(of({ remote: "sftp:", "sftp-host": "nas", "sftp-port": "2222" })).toEqual({
    server: "nas",
    address: { host: "nas", port: 2222 },
  });
  expect(of({ remote: "smb:media", "smb-host": "nas" }).address).toEqual({
    host: "nas",
    port: 445,
  });
  expect(of({ remote: "drive:docs/a" })).toEqual({ server: "drive:docs", address: undefined });
  expect(of({ remote: "local:/srv" }).server).toBe("");
});
