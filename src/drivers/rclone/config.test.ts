// rclone's configuration out of a secret and options, and what its words mean.
import { expect, test } from "bun:test";
import { runToEnd } from "../../../test/support/child.ts";
import { whenPossible } from "../../../test/support/needs.ts";
import { maskValues } from "../../remote/fuse-process.ts";
import { rcloneConfig } from "./config.ts";
import { lastWords, rcloneFailure } from "./failures.ts";
import { obscure } from "./obscure.ts";
import { parseRcloneOptions } from "./options.ts";

const config = (options: Readonly<Record<string, string>>, secret: string, subpath = "") =>
  rcloneConfig(parseRcloneOptions({ ...options, secret: "x" }), secret, subpath);

test("bare lines are of the remote; settings of options are put beside them", () => {
  const made = config(
    { remote: "s3:bucket", "s3-force-path-style": "true" },
    "# the cloud\naccess_key_id = AKIA1\nsecret_access_key=abc/def=\n",
    "wiki",
  );
  expect(made.text).toBe(
    "[s3]\naccess_key_id = AKIA1\nsecret_access_key = abc/def=\n" +
      "type = s3\nforce_path_style = true\n",
  );
  expect(made.remote).toBe("s3:bucket/wiki");
  expect(made.secrets).toContain("AKIA1");
  expect(made.secrets).toContain("abc/def=");
});

test("sections are kept, so that one remote can stand on another", () => {
  const made = config(
    { remote: "safe:", "crypt-filename-encryption": "off" },
    "[base]\ntype = webdav\nurl = http://a\npass = p4ss\n\n[safe]\ntype = crypt\nremote = base:x\n",
  );
  expect(made.text).toContain("[base]\ntype = webdav\n");
  expect(made.text).toContain("[safe]\ntype = crypt\nremote = base:x\nfilename_encryption = off\n");
  expect(made.backend).toBe("crypt");
});

test("the prefix of flags and the name of a backend may differ", () => {
  expect(config({ remote: "gcs:b", "gcs-bucket-policy-only": "true" }, "").text).toBe(
    "[gcs]\ntype = google cloud storage\nbucket_policy_only = true\n",
  );
});

test("paths below a path", () => {
  const remote = (path: string, subpath: string) => config({ remote: path }, "", subpath).remote;
  expect(remote("sftp:", "a")).toBe("sftp:a");
  expect(remote("sftp:/", "a")).toBe("sftp:/a");
  expect(remote("sftp:/srv", "a/b")).toBe("sftp:/srv/a/b");
});

test("what is no configuration is refused without its words", () => {
  const secret = "user = bob\nhunter2\n";
  expect(() => config({ remote: "s3:b" }, secret)).toThrow("line 2 of the secret is neither");
  expect(() => config({ remote: "s3:b" }, secret)).not.toThrow("hunter2");
});

test("a secret names no program, be it in a remote below", () => {
  for (const secret of [
    "[nas]\ntype = webdav\nbearer_token_command = /x\n",
    "[nas]\ntype = sftp\nssh = /x\n",
    "[nas]\ntype = alias\nremote = :webdav,bearer_token_command=/x:\n",
    "[nas]\ntype = s3\n[other]\ntype = webdav\nbearer_token_command = /x\n",
  ]) {
    expect(() => config({ remote: "nas:" }, secret)).toThrow("the secret cannot be used: its key");
  }
});

test("all spellings of what logs in are masked", () => {
  const { secrets } = config(
    { remote: "nas:" },
    "[nas]\ntype = webdav\nurl = http://me:in-url@nas/?sig=s1gn\nuser = me\npassword = p@ss w0rd\n",
  );
  const basic = Buffer.from("me:p@ss w0rd").toString("base64");
  const said = `Basic ${basic}; p%40ss%20w0rd; http://me:in-url@nas/?sig=s1gn; p@ss w0rd`;
  expect(maskValues(said, secrets)).toBe("Basic ****; ****; http://me:****@nas/?****; ****");
  const ready = config(
    { remote: "nas:" },
    `type = webdav\nuser = me\npass = ${obscure("p@ss w0rd")}`,
  );
  expect(maskValues(`Basic ${basic}; p@ss w0rd`, ready.secrets)).toBe("Basic ****; ****");
});

test("a server's words draw on no terminal, and are not endless", () => {
  const words = lastWords(`ERROR : ${"<x>\x1b[31mRED\x07".repeat(10_000)}`);
  expect(words).toStartWith("ERROR : <x>\\x1b[31mRED\\x07<x>");
  expect(words.length).toBeLessThan(10_000);
});

test("settings of another backend than the section's are refused", () => {
  const secret = "[nas]\ntype = webdav\n";
  expect(() => config({ remote: "nas:", "s3-region": "x" }, secret)).toThrow('"webdav-"');
});

whenPossible(["rclone"], "a password alone, or as other drivers' secrets have it", async () => {
  for (const secret of ["of-the-nas-7\n", "username=bob\npassword=of-the-nas-7\n"]) {
    const made = config({ remote: "smb:media", "smb-host": "nas" }, secret);
    const pass = /^pass = (.*)$/m.exec(made.text)?.[1] ?? "";
    const revealed = await runToEnd("rclone", ["reveal", "--", pass], { timeoutMs: 10_000 });
    expect(revealed.stdout).toBe("of-the-nas-7\n");
    expect(made.text).not.toContain("of-the-nas-7");
    expect(made.secrets).toEqual(expect.arrayContaining(["of-the-nas-7", pass]));
  }
});

test("what rclone says, and what it means", () => {
  const stderr =
    "2026/11/26 03:33:31 ERROR : : error listing: couldn't list files: Unauthorized: 401\n" +
    "2026/11/26 03:33:31 Failed to lsf: couldn't list files: Unauthorized: 401 Unauthorized\n";
  const words = lastWords(stderr);
  expect(words).toBe("Failed to lsf: couldn't list files: Unauthorized: 401 Unauthorized");
  const codeOf = (said: string) => rcloneFailure(said, "dav:").code;
  expect(codeOf(words)).toBe("remote.denied");
  expect(codeOf("base64 decode failed when revealing password - is it obscured?")).toBe(
    "remote.denied",
  );
  expect(codeOf("AccessDenied: \n\tstatus code: 403, request id: 1")).toBe("remote.denied");
  expect(codeOf("error in ListJSON: directory not found")).toBe("remote.not_found");
  expect(codeOf("dial tcp 127.0.0.1:1: connect: connection refused")).toBe("remote.unreachable");
});
