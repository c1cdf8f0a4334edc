// The configuration: which source is stronger, what is refused, and that the table tells the truth.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigSources, type DaemonConfig, readConfig } from "./config.ts";
import { renderDaemonHelp, settingEntries, settings, variableOf } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Reads no file of this machine: an empty one is named unless the test names its own. */
function read(sources: Partial<ConfigSources> & { readonly file?: string }): DaemonConfig {
  const path = join(folder, "config.toml");
  writeFileSync(path, sources.file ?? "");
  const environment = { HOLDFAST_CONFIG: path, ...sources.environment };
  return readConfig({ args: sources.args ?? [], environment, userId: sources.userId ?? 0 });
}

describe("without anything given", () => {
  test("root gets the places that the table says", () => {
    expect(read({})).toEqual({
      root: settings.root.default,
      sockets: [settings.host.default.slice("unix://".length)],
      group: undefined,
      logLevel: settings["log-level"].default,
    });
  });

  test("another user gets the XDG places, or what stands for them", () => {
    const xdg = { XDG_DATA_HOME: "/d", XDG_RUNTIME_DIR: "/r" };
    const given = read({ userId: 1000, environment: xdg });
    expect(given.root).toBe(
      settings.root.defaultOfUsers.split(",")[0]?.replace("$XDG_DATA_HOME", "/d") ?? "",
    );
    expect(given.sockets).toEqual(["/r/holdfast/holdfast.sock"]);
    const missing = read({ userId: 1000, environment: { HOME: "/home/a" } });
    expect(missing.root).toBe("/home/a/.local/share/holdfast");
    expect(missing.sockets).toEqual(["/run/user/1000/holdfast/holdfast.sock"]);
  });
});

test("an option is stronger than a variable, a variable stronger than the file", () => {
  const file = 'root = "/file"\ngroup = "file"\nlog-level = "warn"\n';
  const environment = { HOLDFAST_ROOT: "/variable", HOLDFAST_GROUP: "variable" };
  const config = read({ file, environment, args: ["--root=/option"] });
  expect(config).toMatchObject({ root: "/option", group: "variable", logLevel: "warn" });
});

test("sockets are a list everywhere", () => {
  const both = ["/a.sock", "/b.sock"];
  const args = ["--host", "unix:///a.sock", "--host=unix:///b.sock"];
  expect(read({ args }).sockets).toEqual(both);
  const environment = { HOLDFAST_HOST: "unix:///a.sock,unix:///b.sock" };
  expect(read({ environment }).sockets).toEqual(both);
  expect(read({ file: 'host = ["unix:///a.sock", "unix:///b.sock"]' }).sockets).toEqual(both);
});

describe("refused, with the rule", () => {
  const refused: readonly (readonly [string, Parameters<typeof read>[0], string])[] = [
    ["an unknown option", { args: ["--rot", "/x"] }, 'unknown argument "--rot": known are --root'],
    ["a word", { args: ["root"] }, 'unknown argument "root"'],
    ["an option without a value", { args: ["--root"] }, "--root needs a value"],
    ["a root given twice", { args: ["--root=/a", "--root=/b"] }, "root is given twice"],
    ["a TCP socket", { args: ["--host=tcp://0.0.0.0:1"] }, "unix:// and an absolute path"],
    ["a relative socket", { args: ["--host=unix://a.sock"] }, "unix:// and an absolute path"],
    ["an unknown level", { environment: { HOLDFAST_LOG_LEVEL: "loud" } }, "debug, info, warn"],
    ["an unknown key", { file: "rot = 1" }, "unknown key rot: known are root, host"],
    ["a number", { file: "root = 1" }, "root takes a string"],
    ["no socket at all", { file: "host = []" }, "host is an empty list"],
    ["a file that is no TOML", { file: "root = " }, "configuration file"],
    ["a named file that is missing", { environment: { HOLDFAST_CONFIG: "/no/file" } }, "/no/file"],
  ];
  test.each(refused)("%s", (_, sources, rule) => {
    expect(() => read(sources)).toThrow(rule);
  });
});

test("the help names every setting, its variable and its default", () => {
  const help = renderDaemonHelp();
  for (const [name, spec] of settingEntries) {
    expect(help).toContain(`--${name} ${spec.takes}`);
    expect(help).toContain(variableOf(name));
    expect(help).toContain(spec.default);
  }
});
