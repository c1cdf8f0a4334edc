// Settings of plugins and registries: what is taken, in which form, and a sentence for the rest.
import { expect, test } from "bun:test";
import { EngineError } from "../core/errors.ts";
import { type DaemonConfig, readConfig } from "./config.ts";

function read(args: readonly string[], userId = 0): DaemonConfig {
  const environment = { HOLDFAST_CONFIG: "/dev/null", HOME: "/home/u" };
  return readConfig({ args, environment, userId });
}

function refusal(...args: readonly string[]): string {
  try {
    return `accepted: ${JSON.stringify(read(args))}`;
  } catch (error) {
    if (error instanceof EngineError && error.code === "config.invalid") return error.message;
    throw error;
  }
}

test("root finds plugins where Docker does, and another user finds none", () => {
  expect(read([]).plugins).toEqual({
    sockets: "/run/docker/plugins",
    specs: ["/etc/docker/plugins", "/usr/lib/docker/plugins"],
  });
  expect(read([], 1000).plugins).toEqual({ sockets: undefined, specs: [] });
  expect(read(["--plugin-sockets=/a/"], 1000).plugins.sockets).toBe("/a");
});

test("directories of plugins can be others, or none", () => {
  const others = ["--plugin-sockets", "/a", "--plugin-specs", "/b/../c", "--plugin-specs", "/d"];
  expect(read(others).plugins).toEqual({ sockets: "/a", specs: ["/c", "/d"] });
  const none = ["--plugin-sockets", "none", "--plugin-specs", "none"];
  expect(read(none).plugins).toEqual({ sockets: undefined, specs: [] });
  expect(refusal("--plugin-sockets", "a")).toBe(
    'plugin-sockets "a": an absolute path or none is needed',
  );
  expect(refusal("--plugin-sockets=/a", "--plugin-sockets=/b")).toBe(
    "plugin-sockets is given twice",
  );
  expect(refusal("--plugin-specs=a")).toBe('plugin-specs "a": an absolute path or none is needed');
  expect(refusal("--plugin-specs=none", "--plugin-specs=/a")).toBe(
    'plugin-specs "none": the word none stands alone, not beside directories',
  );
});

test("insecure registries are hosts, ports and networks", () => {
  expect(read([]).registry.insecure).toEqual([]);
  const taken = ["Reg.test", "reg.test:5000", "[::1]:5000", "[fd00::1]", "10.0.0.0/8", "fd00::/8"];
  const args = taken.map((each) => `--insecure-registry=${each}`);
  expect(read(args).registry.insecure).toEqual(taken.map((each) => each.toLowerCase()));
  const refused = [
    "http://reg.test",
    "reg.test/x",
    "reg.test:",
    "reg.test:0",
    "reg.test:65536",
    "reg test",
    "-reg",
    "10.0.0.0/33",
    "fd00::/129",
    "10.0.0/8",
    "10.0.0.0/",
    "::1",
    "[::1",
    "[1.2.3.4]",
  ];
  for (const each of refused) {
    expect(refusal(`--insecure-registry=${each}`)).toStartWith(
      `insecure-registry ${JSON.stringify(each)}: HOST, HOST:PORT or a network`,
    );
  }
});

test("mirrors are addresses of http or https, and a password in one is not printed", () => {
  const args = ["--registry-mirror=https://m.test/", "--registry-mirror=http://m:5000/a/"];
  expect(read([]).registry.mirrors).toEqual([]);
  expect(read(args).registry.mirrors).toEqual(["https://m.test", "http://m:5000/a"]);
  for (const each of ["m.test", "ftp://m.test", "http://", "https://m/?a", "https://m/#a"]) {
    expect(refusal(`--registry-mirror=${each}`)).toStartWith(
      `registry-mirror ${JSON.stringify(each)}: http:// or https:// with a host is needed`,
    );
  }
  expect(refusal("--registry-mirror=https://u:secret@m.test")).not.toContain("secret");
});

test("certificates lie in one directory", () => {
  expect(read([]).registry.certificates).toBe("/etc/docker/certs.d");
  expect(read(["--registry-certs=/c/"]).registry.certificates).toBe("/c");
  expect(refusal("--registry-certs=c")).toBe('registry-certs "c": an absolute path is needed');
});
