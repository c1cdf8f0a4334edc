// Options keep their rules, and none of them may be a password.
import { describe, expect, test } from "bun:test";
import type { DriverOptions } from "../core/driver.ts";
import { EngineError } from "../core/errors.ts";
import type { RemoteKind } from "./kind.ts";
import { oneOf, readOptions } from "./options.ts";

const kind: RemoteKind<DriverOptions> = {
  name: "example",
  rules: [
    { name: "server", value: "HOST", help: "The server", isRequired: true },
    { name: "version", value: "N", help: "The version", rule: oneOf("3", "4") },
    { name: "options", value: "WORDS", help: "Further words" },
  ],
  parse: (options) => options,
  address: () => undefined,
  server: () => "example",
  async mount() {},
  async unmount() {},
};

function refusal(options: DriverOptions): EngineError {
  try {
    readOptions(kind, options);
  } catch (thrown) {
    if (thrown instanceof EngineError) return thrown;
    throw thrown;
  }
  throw new Error("it must be refused");
}

test("what is not given has its default", () => {
  expect(readOptions(kind, { server: "nas" }).common).toEqual({
    secret: undefined,
    subpath: "",
    isTested: true,
    isReadOnly: false,
  });
  const all = { server: "nas", subpath: "a/b", test: "off", "read-only": "true", secret: "nas.1" };
  expect(readOptions(kind, all).common).toEqual({
    secret: "nas.1",
    subpath: "a/b",
    isTested: false,
    isReadOnly: true,
  });
});

test("an option that nobody knows is refused with those that there are", () => {
  const { code, message, details } = refusal({ server: "nas", sevrer: "nas" });
  expect(code).toBe("volume.option_invalid");
  expect(message).toInclude('"sevrer"');
  const common = ["secret", "subpath", "read-only", "test"];
  expect(details).toEqual({
    option: "sevrer",
    known: ["server", "version", "options", ...common],
  });
});

test.each([
  [{}, "server", /missing required option: "server"/],
  [{ server: "" }, "server", /one line/],
  [{ server: "nas\nother" }, "server", /one line/],
  [{ server: "nas", version: "5" }, "version", /one of 3, 4/],
  [{ server: "nas", subpath: "../up" }, "subpath", /relative path/],
  [{ server: "nas", subpath: "/top" }, "subpath", /relative path/],
  [{ server: "nas", subpath: "a//b" }, "subpath", /relative path/],
  [{ server: "nas", subpath: "a/" }, "subpath", /relative path/],
  [{ server: "nas", test: "no" }, "test", /one of on, off/],
  [{ server: "nas", "read-only": "on" }, "read-only", /one of true, false/],
  [{ server: "nas", secret: "a/b" }, "secret", /name of a secret/],
] as const)("%j is refused", (options: DriverOptions, option, words) => {
  const { code, message, details } = refusal(options);
  expect(code).toBe("volume.option_invalid");
  expect(details["option"]).toBe(option);
  expect(message).toMatch(words);
});

describe("a password is refused with the way to keep it, and never repeated", () => {
  test.each([
    { password: "hush" },
    { Passwd: "hush" },
    { "access-token": "hush" },
    { "secret-access-key": "hush" },
    { client_secret: "hush" },
    { options: "username=me,password=hush" },
    { options: "PASS=hush" },
    { server: "me:hush@nas" },
    { server: "https://me:hush@nas/share" },
    { credentials: "hush" },
    { options: ":s3,secret_access_key=hush:bucket" },
  ])("%j", (options: DriverOptions) => {
    const { code, message, details } = refusal({ server: "nas", ...options });
    expect(code).toBe("volume.option_invalid");
    expect(message).toInclude("holdfast secret create");
    expect(JSON.stringify([message, details])).not.toInclude("hush");
  });

  test.each([
    { server: "fd00::1" },
    { server: "me@nas" },
    { subpath: "secrets/tokens" },
    { options: "sec=krb5,nconnect=4" },
  ])("%j is none", (options: DriverOptions) => {
    expect(() => readOptions(kind, { server: "nas", ...options })).not.toThrow();
  });
});
