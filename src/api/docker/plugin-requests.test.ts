// What requests about plugins say, and what they say wrongly.
import { describe, expect, test } from "bun:test";
import type { HttpRequest } from "../../http/message.ts";
import { bodyPieces, grantedPrivileges, localPluginName, registryCall } from "./plugin-requests.ts";

function request(headers: Readonly<Record<string, string>>, body = ""): HttpRequest {
  return {
    method: "POST",
    target: "/plugins/pull",
    path: "/plugins/pull",
    query: "",
    headers: new Map(Object.entries(headers)),
    body: new TextEncoder().encode(body),
    isVersion11: true,
    keepsAlive: true,
    peer: undefined,
    connectionClosed: new AbortController().signal,
    isClientGone: false,
  };
}

function authOf(value: unknown, encoding: "base64" | "base64url" = "base64url"): unknown {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const header = Buffer.from(text).toString(encoding);
  return registryCall(request({ "x-registry-auth": header })).auth;
}

describe("credentials", () => {
  test("are read in either alphabet, whatever the case of their names", () => {
    const login = { username: "é?>", password: "p?~>" };
    expect(authOf(login)).toEqual(login);
    expect(authOf(login, "base64")).toEqual(login);
    expect(authOf({ UserName: "u", PASSWORD: "p", email: "e", serveraddress: "s" })).toEqual({
      username: "u",
      password: "p",
    });
    expect(authOf({ identitytoken: "i", registrytoken: "r" })).toEqual({
      identityToken: "i",
      registryToken: "r",
    });
  });

  test("that are none, or cannot be read, are ignored", () => {
    for (const value of [{}, "", "{", "null", "[]", '"x"', { username: 1 }, { auth: "eDp5" }]) {
      expect(authOf(value)).toBeUndefined();
    }
    expect(registryCall(request({})).auth).toBeUndefined();
    expect(registryCall(request({ "x-registry-auth": "%%%" })).auth).toBeUndefined();
  });
});

test("headers for the registry are handed on in Go's spelling", () => {
  const { metaHeaders } = registryCall(request({ "x-meta-my-team": "a, b", "x-metal": "no" }));
  expect(metaHeaders).toEqual([["X-Meta-My-Team", "a, b"]]);
});

describe("grants", () => {
  const json = { "content-type": "application/json" };
  const granted = (body: string) => grantedPrivileges(request(json, body));

  test("are read as Go reads them; no body and null are none", () => {
    expect(grantedPrivileges(request({}))).toEqual([]);
    expect(granted("null")).toEqual([]);
    expect(granted('[{"name":"network","Value":["host"]},{"Description":"d"},null]')).toEqual([
      { name: "network", description: "", value: ["host"] },
      { name: "", description: "d", value: [] },
      { name: "", description: "", value: [] },
    ]);
  });

  test("of another form are refused with Go's words", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["{}", "cannot unmarshal object into Go value of type types.PluginPrivileges"],
      ["[1]", "cannot unmarshal number into Go value of type types.PluginPrivilege"],
      ['[{"Value":"x"}]', "cannot unmarshal string into Go struct field PluginPrivilege.Value"],
      ['[{"Value":[1]}]', "cannot unmarshal number into Go struct field PluginPrivilege.Value"],
      ["[", "unexpected EOF"],
    ];
    for (const [body, text] of cases) expect(() => granted(body)).toThrow(text);
    expect(() => grantedPrivileges(request({ "content-type": "text/plain" }, "[]"))).toThrow(
      "unsupported Content-Type header",
    );
  });
});

test("the local name is the given one, or the remote's without its digest", () => {
  expect(localPluginName("vieux/sshfs", "")).toBe("vieux/sshfs:latest");
  expect(localPluginName(`r.io/a:v1@sha256:${"0".repeat(64)}`, "")).toBe("r.io/a:v1");
  expect(localPluginName("r.io/a:v1", "mine")).toBe("mine:latest");
  expect(localPluginName("UPPER", "")).toBeUndefined();
  expect(localPluginName("a", `a@sha256:${"0".repeat(64)}`)).toBeUndefined();
});

test("a body is one piece, many, or none", async () => {
  async function* stream() {
    yield new Uint8Array([1]);
    yield new Uint8Array([2, 3]);
  }
  const lengths = async (one: HttpRequest) => {
    const found: number[] = [];
    for await (const piece of bodyPieces(one)) found.push(piece.length);
    return found;
  };
  expect(await lengths(request({}))).toEqual([]);
  expect(await lengths(request({}, "abc"))).toEqual([3]);
  expect(await lengths({ ...request({}), bodyStream: stream() })).toEqual([1, 2]);
});
