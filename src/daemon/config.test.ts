// Configuration: arguments before variables before the file, and a sentence for everything wrong.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../core/errors.ts";
import { trashBudget } from "../engine/trash/budget.ts";
import { trashDefaults } from "../engine/trash/policy.ts";
import { type ConfigSources, type DaemonConfig, readConfig } from "./config.ts";
import { renderDaemonHelp, settingEntries, settings, variableOf } from "./settings.ts";

const plugins = {
  sockets: "/run/docker/plugins",
  specs: ["/etc/docker/plugins", "/usr/lib/docker/plugins"],
};
const secretKey = "/etc/holdfast/secret.key";
const registry = { insecure: [], mirrors: [], certificates: "/etc/docker/certs.d" };

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync("/dev/shm/holdfast-config-");
  file = join(folder, "config.toml");
  writeFileSync(file, "");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Never the machine's own file: what it says is not the test's business. */
function read(sources: Partial<ConfigSources> = {}): DaemonConfig {
  const { args = [], environment = {}, userId = 0 } = sources;
  return readConfig({ args, environment: { HOLDFAST_CONFIG: file, ...environment }, userId });
}

function refusal(sources: Partial<ConfigSources>): string {
  try {
    return `accepted: ${JSON.stringify(read(sources))}`;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("config.invalid");
    return error.message;
  }
}

describe("defaults", () => {
  test("of root", () => {
    expect(read()).toEqual({
      root: "/var/lib/holdfast",
      sockets: ["/run/holdfast/holdfast.sock"],
      pluginSocket: "/run/docker/plugins/holdfast.sock",
      lockDirectory: "/run/holdfast/locks",
      plugins,
      registry,
      secretKey,
      holdGraceMs: 30_000,
      violationPolicy: "stop",
      trash: { defaults: trashDefaults, budget: trashBudget },
      group: undefined,
      logLevel: "info",
    });
  });

  test("are those that the table says", () => {
    expect(read()).toEqual({
      root: settings.root.default,
      sockets: [settings.host.default.slice("unix://".length)],
      pluginSocket: settings["plugin-socket"].default,
      lockDirectory: settings["lock-directory"].default,
      plugins,
      registry,
      secretKey,
      holdGraceMs: 30_000,
      violationPolicy: "stop",
      trash: { defaults: trashDefaults, budget: trashBudget },
      group: undefined,
      logLevel: settings["log-level"].default,
    });
    const environment = { XDG_DATA_HOME: "/d" };
    const [ofUsers] = settings.root.defaultOfUsers.split(",");
    const expected = ofUsers?.replace("$XDG_DATA_HOME", "/d") ?? "";
    expect(read({ userId: 1000, environment }).root).toBe(expected);
  });

  test("of another user are the XDG places, or those that XDG says when they are not set", () => {
    const given = { HOME: "/home/u", XDG_DATA_HOME: "/data", XDG_RUNTIME_DIR: "/run/me" };
    expect(read({ userId: 1000, environment: given })).toMatchObject({
      root: "/data/holdfast",
      sockets: ["/run/me/holdfast/holdfast.sock"],
    });
    for (const environment of [
      { HOME: "/home/u" },
      { HOME: "/home/u", XDG_DATA_HOME: "", XDG_RUNTIME_DIR: "" },
    ]) {
      expect(read({ userId: 1000, environment })).toMatchObject({
        root: "/home/u/.local/share/holdfast",
        sockets: ["/run/user/1000/holdfast/holdfast.sock"],
      });
    }
  });
});

describe("precedence", () => {
  test("each setting by itself: arguments, then variables, then the file", () => {
    writeFileSync(
      file,
      'root = "/file"\nhost = "unix:///file.sock"\ngroup = "file"\nlog-level = "error"\n',
    );
    expect(read()).toEqual({
      root: "/file",
      sockets: ["/file.sock"],
      pluginSocket: "/run/docker/plugins/holdfast.sock",
      lockDirectory: "/run/holdfast/locks",
      plugins,
      registry,
      secretKey,
      holdGraceMs: 30_000,
      violationPolicy: "stop",
      trash: { defaults: trashDefaults, budget: trashBudget },
      group: "file",
      logLevel: "error",
    });
    const environment = { HOLDFAST_ROOT: "/env", HOLDFAST_LOG_LEVEL: "warn" };
    expect(read({ environment })).toMatchObject({
      root: "/env",
      logLevel: "warn",
      holdGraceMs: 30_000,
      violationPolicy: "stop",
      trash: { defaults: trashDefaults, budget: trashBudget },
      group: "file",
    });
    const args = ["--root", "/args", "--host=unix:///args.sock"];
    expect(read({ environment, args })).toEqual({
      root: "/args",
      sockets: ["/args.sock"],
      pluginSocket: "/run/docker/plugins/holdfast.sock",
      lockDirectory: "/run/holdfast/locks",
      plugins,
      registry,
      secretKey,
      holdGraceMs: 30_000,
      violationPolicy: "stop",
      trash: { defaults: trashDefaults, budget: trashBudget },
      group: "file",
      logLevel: "warn",
    });
  });

  test("an empty variable is none", () => {
    expect(read({ environment: { HOLDFAST_ROOT: "" } }).root).toBe("/var/lib/holdfast");
  });

  test("the file of the arguments counts before that of the variable", () => {
    const other = join(folder, "other.toml");
    writeFileSync(other, 'root = "/other"');
    writeFileSync(file, 'root = "/file"');
    expect(read({ args: ["--config", other] }).root).toBe("/other");
    expect(read({ args: [`--config=${other}`] }).root).toBe("/other");
  });
});

test("several sockets come from each place, and relative roots are made absolute", () => {
  const sockets = ["/a.sock", "/b.sock"];
  expect(read({ args: ["--host", "unix:///a.sock", "--host", "unix:///b.sock"] }).sockets).toEqual(
    sockets,
  );
  const environment = { HOLDFAST_HOST: "unix:///a.sock,unix:///b.sock" };
  expect(read({ environment }).sockets).toEqual(sockets);
  writeFileSync(file, 'host = ["unix:///a.sock", "unix:///b.sock"]');
  expect(read().sockets).toEqual(sockets);
  expect(read({ args: ["--root", "some/where/"] }).root).toBe(join(process.cwd(), "some/where"));
});

test("the socket of the volume driver is a path, or none, and none for another user", () => {
  writeFileSync(file, 'plugin-socket = "/file.sock"');
  expect(read().pluginSocket).toBe("/file.sock");
  const environment = { HOLDFAST_PLUGIN_SOCKET: "none" };
  expect(read({ environment }).pluginSocket).toBeUndefined();
  expect(read({ environment, args: ["--plugin-socket=/a.sock"] }).pluginSocket).toBe("/a.sock");
  writeFileSync(file, "");
  expect(read({ userId: 1000, environment: { HOME: "/home/u" } }).pluginSocket).toBeUndefined();
});

describe("what is refused", () => {
  const arguments_: readonly (readonly [readonly string[], string])[] = [
    [["--nosuch"], 'unknown argument "--nosuch": known are --root,'],
    [["root"], 'unknown argument "root"'],
    [["-root", "/x"], 'unknown argument "-root"'],
    [["--"], 'unknown argument "--"'],
    [["--root"], "--root needs a value"],
    [["--root="], "--root needs a value"],
    [["--root", ""], "--root needs a value"],
    [["--config"], "--config needs a value"],
    [["--root", "/a", "--root", "/b"], "root is given twice"],
    [["--host", "tcp://127.0.0.1:80"], 'host "tcp://127.0.0.1:80": unix:// and an absolute path'],
    [["--host", "unix://relative.sock"], "unix:// and an absolute path are needed"],
    [["--host", "/a.sock"], "unix:// and an absolute path are needed"],
    [["--lock-directory", "locks"], 'lock-directory "locks": an absolute path or the word none'],
    [["--plugin-socket", "p.sock"], 'plugin-socket "p.sock": an absolute path or the word none'],
    [["--log-level", "loud"], 'log-level "loud": one of debug, info, warn, error is needed'],
    [["--config", "/nonexistent/config.toml"], "configuration file /nonexistent/config.toml: "],
  ];
  for (const [args, text] of arguments_) {
    test(`${args.join(" ")}`, () => expect(refusal({ args })).toContain(text));
  }

  const files: readonly (readonly [string, string])[] = [
    ["root = ", "configuration file "],
    ["nosuch = 1", "unknown key nosuch: known are root, host, "],
    ["root = 1", "root takes a string"],
    ["[root]\na = 1", "root takes a string"],
    ["host = [1]", "host takes a string or a list"],
    ["host = []", "host is an empty list"],
    ['root = ""', "root is empty"],
    ['group = ""', "group is empty"],
    ['host = ["unix:///a", ""]', "host is empty"],
    ['root = ["/a", "/b"]', "root is given twice"],
    ['log-level = "loud"', 'log-level "loud"'],
  ];
  for (const [text, message] of files) {
    test(`a file that says ${text}`, () => {
      writeFileSync(file, text);
      expect(refusal({})).toContain(message);
      expect(refusal({})).toContain(text.startsWith("log") || text.includes("/b") ? "" : file);
    });
  }

  test("a variable that is wrong", () => {
    expect(refusal({ environment: { HOLDFAST_HOST: "unix:///a.sock," } })).toContain('host ""');
    expect(refusal({ environment: { HOLDFAST_LOG_LEVEL: "x" } })).toContain('log-level "x"');
    expect(refusal({ environment: { HOLDFAST_CONFIG: folder } })).toContain(folder);
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

describe("the trash", () => {
  function trash(...args: readonly string[]) {
    return read({ args }).trash;
  }

  test("has a time for named and one for anonymous volumes, and a budget", () => {
    const args = ["--trash", "30d", "--trash-anonymous", "off", "--trash-budget", "10g"];
    expect(trash(...args)).toEqual({
      defaults: { named: 30 * 86_400_000, anonymous: "off", isOn: true },
      budget: { kind: "bytes", bytes: 10 * 1_024 ** 3 },
    });
  });

  test("can be off: then what asks for it itself is kept for the default time", () => {
    expect(trash("--trash=off").defaults).toEqual({ ...trashDefaults, isOn: false });
  });

  test("takes no other words", () => {
    expect(refusal({ args: ["--trash", "soon"] })).toBe(
      'trash "soon": a number with d (days), h (hours) or m (minutes), as in 30d, at most ' +
        "36500d, or off is needed",
    );
    expect(refusal({ args: ["--trash-anonymous", "0d"] })).toStartWith('trash-anonymous "0d": ');
    expect(refusal({ args: ["--trash-budget", "much"] })).toBe(
      'trash-budget "much": a percentage up to 100% as in 25%, bytes as in 10g (k, m, g or t), ' +
        "or none is needed",
    );
  });
});
