// The pure parts of talking to registries: challenges, addresses, manifests, secrets.
import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import { EngineError } from "../../core/errors.ts";
import { silentLog } from "../../core/operation.ts";
import { addressesOf, isLoopback, mayBePlain, originalOf } from "./addresses.ts";
import { Authorizer } from "./authorization.ts";
import { trustFor } from "./certificates.ts";
import { parseChallenges } from "./challenge.ts";
import { registryDeadlines } from "./limits.ts";
import { LAYER_TYPE, PLUGIN_CONFIG_TYPE, parseManifest, writeManifest } from "./manifest.ts";
import { secretOf, textOf, withoutSecrets } from "./secret.ts";
import { RepositorySession } from "./session.ts";

const settings = { insecure: ["reg.example:5000"], mirrors: [], certificates: "/nowhere" };

describe("challenges", () => {
  type Read = readonly (readonly [scheme: string, parameters: object])[];
  const samples: readonly (readonly [header: string, read: Read])[] = [
    ["", []],
    ["Basic", [["basic", {}]]],
    ['Basic realm="a \\"b\\", c"', [["basic", { realm: 'a "b", c' }]]],
    [
      'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"',
      [
        [
          "bearer",
          {
            realm: "https://auth.example/token",
            service: "reg",
            scope: "repository:a/b:pull,push",
          },
        ],
      ],
    ],
    [
      'Negotiate, BASIC Realm=x , Bearer realm="y"',
      [
        ["negotiate", {}],
        ["basic", { realm: "x" }],
        ["bearer", { realm: "y" }],
      ],
    ],
    ['realm="nobody\'s"', []],
    ["@@@", []],
  ];

  test.each(samples)("%j", (header, read) => {
    const found = parseChallenges(header).map(({ scheme, parameters }) => [
      scheme,
      Object.fromEntries(parameters),
    ]);
    expect<unknown>(found).toEqual(read);
  });

  test("a hostile one takes no time", () => {
    const before = performance.now();
    parseChallenges('a="\\'.repeat(100_000));
    parseChallenges(", ".repeat(100_000));
    expect(performance.now() - before).toBeLessThan(200);
  });
});

describe("addresses", () => {
  test("Docker Hub is elsewhere, never without TLS, and has mirrors for pulls", () => {
    const mirrors = ["https://mirror.example/hub", "http://10.0.0.1:5000"];
    expect(addressesOf("docker.io", { ...settings, mirrors })).toEqual([
      { host: "mirror.example", bases: ["https://mirror.example/hub"], isMirror: true },
      { host: "10.0.0.1:5000", bases: ["http://10.0.0.1:5000"], isMirror: true },
      { host: "docker.io", bases: ["https://registry-1.docker.io"], isMirror: false },
    ]);
    expect(addressesOf("quay.io", { ...settings, mirrors })).toHaveLength(1);
    expect(originalOf("docker.io", settings).bases).toEqual(["https://registry-1.docker.io"]);
  });

  test("only this machine and what is listed may be without TLS", () => {
    const plain = ["127.0.0.1:5000", "127.9.9.9", "localhost", "[::1]:5000", "REG.example:5000"];
    const never = ["reg.example", "reg.example:5001", "127.0.0.1.evil.example", "localhost.evil"];
    expect(plain.filter((host) => !mayBePlain(host, settings))).toEqual([]);
    expect(never.filter((host) => mayBePlain(host, settings))).toEqual([]);
    expect(isLoopback("128.0.0.1")).toBe(false);
  });

  test("a network stands for the addresses in it", () => {
    const networks = { ...settings, insecure: ["10.0.0.0/8", "fd00::/8"] };
    const inside = ["10.0.0.1:5000", "10.255.0.1", "[fd00::1]:5000"];
    const outside = ["11.0.0.1:5000", "[fe80::1]:5000", "10.example", "10.0.0.1.example:5000"];
    expect(inside.filter((host) => !mayBePlain(host, networks))).toEqual([]);
    expect(outside.filter((host) => mayBePlain(host, networks))).toEqual([]);
  });

  test("everybody else must prove who they are", () => {
    expect(trustFor("reg.example", settings).rejectUnauthorized).toBe(true);
    expect(trustFor("10.0.0.1:5000", settings).rejectUnauthorized).toBe(true);
    expect(trustFor("reg.example:5000", settings).rejectUnauthorized).toBe(false);
    expect(trustFor("127.0.0.1:5000", settings).rejectUnauthorized).toBe(false);
  });
});

test("a registry elsewhere sends nobody to what is on this machine, nor away from TLS", () => {
  const call = { auth: undefined, metaHeaders: [] };
  const repository = { path: "a", actions: "pull" };
  const how = { repository, call, settings, log: silentLog, deadlines: registryDeadlines };
  const from = new URL("https://reg.example/v2/a/blobs/x");
  const sessionAt = (host: string) =>
    new RepositorySession({ ...how, address: originalOf(host, settings) });
  const session = sessionAt("reg.example");
  for (const to of [
    "https://127.0.0.1/x",
    "https://LOCALHOST:8443/",
    "https://[::1]/",
    "http://b/",
  ]) {
    expect(() => session.resolve(to, from)).toThrow("is not to be trusted");
  }
  expect(session.resolve("https://storage.example/x", from).host).toBe("storage.example");
  expect(sessionAt("127.0.0.1:5000").resolve("http://127.0.0.1:9/", from).port).toBe("9");
});

describe("manifests", () => {
  const type = "application/vnd.docker.distribution.manifest.v2+json";
  const oci = "application/vnd.oci.image.manifest.v1+json";
  const index = "application/vnd.oci.image.index.v1+json";
  const digest = `sha256:${"0".repeat(64)}`;
  const config = { mediaType: PLUGIN_CONFIG_TYPE, digest, size: 983 };
  const layer = { mediaType: LAYER_TYPE, digest, size: 2067034 };
  const sound = { schemaVersion: 2, mediaType: type, config, layers: [layer] };
  const parse = (value: unknown, called = type) =>
    parseManifest(Buffer.from(JSON.stringify(value)), called);

  test("ours is as long as the recorded ones of Docker", () => {
    // 418 bytes: recordings 06 and 07, whose sizes have as many digits.
    const written = writeManifest({ digest, size: 983 }, [{ digest, size: 2067034 }]);
    expect(written.byteLength).toBe(418);
    expect(parseManifest(written, `${type}; charset=utf-8`)).toEqual({
      kind: "plugin",
      mediaType: type,
      config,
      layers: [layer],
    });
  });

  test("OCI's are read, without a type inside and with an artifact's", () => {
    const { mediaType: _, ...plain } = sound;
    expect(parse(plain, oci)).toMatchObject({ kind: "plugin", mediaType: oci });
    const artifact = { ...plain, artifactType: PLUGIN_CONFIG_TYPE, config: { digest, size: 3 } };
    expect(parse(artifact, oci)).toMatchObject({ kind: "plugin" });
  });

  const refused: readonly (readonly [why: string, value: unknown, called?: string])[] = [
    ["no JSON object", null],
    ["no JSON object", "text"],
    ["is not supported", { schemaVersion: 1 }, `${type.replace("v2", "v1")}`],
    ["it says", sound, oci],
    ["has layers and manifests", { ...sound, manifests: [] }],
    [
      "(image) when fetching",
      { ...sound, config: { ...config, mediaType: "application/vnd.oci.image.config.v1+json" } },
    ],
    ["(unknown) when fetching", { ...sound, config: { ...config, mediaType: "application/x\n" } }],
    ["(image) when fetching", { ...sound, config: undefined }],
    ["config has no proper digest", { ...sound, config: { ...config, digest: "../x" } }],
    ["config has 5000000 bytes", { ...sound, config: { ...config, size: 5_000_000 } }],
    ["no list of layers", { ...sound, layers: {} }],
    ["it has 128 layers", { ...sound, layers: Array.from({ length: 128 }, () => layer) }],
    ["no proper digest and size", { ...sound, layers: [{ ...layer, size: -1 }] }],
    ["no proper digest and size", { ...sound, layers: [{ ...layer, size: 1.5 }] }],
    ["no proper digest and size", { ...sound, layers: [null] }],
    ["layers of type", { ...sound, layers: [{ ...layer, mediaType: "application/x" }] }],
    ["at most 17179869184", { ...sound, layers: [layer, { ...layer, size: 2 ** 34 }] }],
    ["no matching manifest", { mediaType: index, manifests: "x" }, index],
  ];

  const all = refused.map(([why, value, called = type]) => [why, value, called] as const);

  test.each(all)("refused: %s", (why, value, called) => {
    const run = () => parse(value, called);
    expect(run).toThrow(EngineError);
    expect(run).toThrow(why);
  });
});

describe("secrets", () => {
  test("are printed by nothing", () => {
    const secret = secretOf("hunter2");
    const printed = [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), String(secret)];
    expect(printed.filter((text) => text.includes("hunter2"))).toEqual([]);
    expect(textOf(secret)).toBe("hunter2");
  });

  test("are taken out of a stranger's words", () => {
    const secrets = [secretOf("hunter2"), secretOf("no")];
    expect(withoutSecrets("no, hunter2 is wrong", secrets)).toBe("no, **** is wrong");
    // Codes and messages of registries are put into small letters.
    const odd = [secretOf("Pass (w)ord+1")];
    const said = "pass (w)ord+1, pass%20(w)ord%2b1, pass w ord";
    expect(withoutSecrets(said, odd)).toBe("****, ****, pass w ord");
  });

  test("are taken out as a header has them, whoever it went to", () => {
    const auth = { username: "someone", password: "Pass-Word" };
    const never = () => Promise.reject(new Error("it asks nobody"));
    const how = { scope: "", isAllowed: () => false, ask: never, answerMs: 1 };
    const pair = Buffer.from("someone:Pass-Word").toString("base64");
    const hidden = new Authorizer({ ...how, auth }).hide(`no: basic ${pair.toLowerCase()}`);
    expect(hidden).toBe("no: basic ****");
  });
});
