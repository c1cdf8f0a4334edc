// Bodies as Go reads them: lenient about names, exact in its words about mistakes.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EngineError } from "../../core/errors.ts";
import type { HttpRequest } from "../../http/message.ts";
import { type GoFields, type GoStruct, jsonMistake, readBody } from "./go-json.ts";

const struct: GoStruct = {
  name: "CreateOptions",
  typeName: "volume.CreateOptions",
  fields: { Driver: "string", Labels: "map[string]string", Name: "string", Spec: "object" },
};

function request(body: string | Uint8Array, contentType?: string): HttpRequest {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return {
    method: "POST",
    target: "/volumes/create",
    path: "/volumes/create",
    query: "",
    headers: new Map(contentType === undefined ? [] : [["content-type", contentType]]),
    body: bytes,
    isVersion11: true,
    keepsAlive: true,
    peer: undefined,
    connectionClosed: new AbortController().signal,
    isClientGone: false,
  };
}

function read(body: string | Uint8Array): GoFields {
  return readBody(request(body, "application/json"), struct);
}

function refusal(work: () => unknown): string {
  try {
    return `accepted: ${JSON.stringify(work())}`;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("request.invalid");
    return error.message;
  }
}

describe("what is accepted", () => {
  const accepted: readonly (readonly [string, GoFields])[] = [
    ["", {}],
    ["null", {}],
    [" {} \n", {}],
    ['{"Name":"wiki"}', { Name: "wiki" }],
    [
      '{"name":"wiki","DRIVER":"local","lAbElS":{"A":"1"}}',
      {
        Name: "wiki",
        Driver: "local",
        Labels: { A: "1" },
      },
    ],
    ['{"Name":"a","name":"b"}', { Name: "b" }],
    ['{"Name":"a","Name":"b"}', { Name: "b" }],
    ['{"Name":"a","name":null}', { Name: "a" }],
    ['{"Name":null,"Labels":null}', {}],
    ['{"Labels":{}}', { Labels: {} }],
    ['{"Labels":{"a":null}}', { Labels: { a: "" } }],
    ['{"Labels":{"a":"1","a":"2"}}', { Labels: { a: "2" } }],
    ['{"Labels":{"a":"1"},"labels":{"b":"2"}}', { Labels: { a: "1", b: "2" } }],
    ['{"Unknown":[1,{"deep":true}],"Name":"wiki"}', { Name: "wiki" }],
    ['{"Spec":{"any":1}}', { Spec: { any: 1 } }],
    ['{"Name":"\\ud83d\\ude00\\u0000"}', { Name: "😀\0" }],
    ['{"Name":"\\ud800"}', { Name: "\ufffd" }],
    ['{"Labels":{"\\udc00":"a\\ud800b"}}', { Labels: { "\ufffd": "a\ufffdb" } }],
  ];
  for (const [body, fields] of accepted) {
    test(body === "" ? "nothing" : body, () => expect(read(body)).toEqual(fields));
  }

  test("bytes that are no UTF-8 become replacement characters", () => {
    const body = Buffer.concat([Buffer.from('{"Name":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(read(body)).toEqual({ Name: "\ufffd" });
  });

  test("a label called __proto__ is a label", () => {
    const labels = read('{"Labels":{"__proto__":"x"}}')["Labels"];
    expect(Object.entries(labels as object)).toEqual([["__proto__", "x"]]);
    expect(read('{"__proto__":{"Name":"x"}}')["Name"]).toBeUndefined();
  });
});

describe("wrong types have Go's words", () => {
  const into = "invalid JSON: json: cannot unmarshal";
  const refused: readonly (readonly [string, string])[] = [
    ['{"Name":1}', `${into} number into Go struct field CreateOptions.Name of type string`],
    ['{"Name":true}', `${into} bool into Go struct field CreateOptions.Name of type string`],
    ['{"name":{}}', `${into} object into Go struct field CreateOptions.Name of type string`],
    ['{"Name":[]}', `${into} array into Go struct field CreateOptions.Name of type string`],
    [
      '{"Labels":"x"}',
      `${into} string into Go struct field CreateOptions.Labels of type map[string]string`,
    ],
    [
      '{"Labels":["a"]}',
      `${into} array into Go struct field CreateOptions.Labels of type map[string]string`,
    ],
    [
      '{"Labels":{"a":1}}',
      `${into} number into Go struct field CreateOptions.Labels of type string`,
    ],
    [
      '{"Labels":{"a":{"b":"c"}}}',
      `${into} object into Go struct field CreateOptions.Labels of type string`,
    ],
    ["[]", `${into} array into Go value of type volume.CreateOptions`],
    ['"x"', `${into} string into Go value of type volume.CreateOptions`],
    ["1", `${into} number into Go value of type volume.CreateOptions`],
    ["true", `${into} bool into Go value of type volume.CreateOptions`],
  ];
  for (const [body, text] of refused)
    test(body, () => expect(refusal(() => read(body))).toBe(text));
});

describe("mistakes have Go's words", () => {
  const mistakes: readonly (readonly [string, string])[] = [
    [" ", "invalid JSON: got EOF while reading request body"],
    ["{", "invalid JSON: unexpected EOF"],
    ['{"a', "invalid JSON: unexpected EOF"],
    ["tru", "invalid JSON: unexpected EOF"],
    ["{invalid", "invalid JSON: invalid character 'i' looking for beginning of object key string"],
    ["{} {}", "unexpected content after JSON"],
    ["{}x", "unexpected content after JSON"],
    ["nope", "invalid JSON: invalid character 'o' in literal null (expecting 'u')"],
    ["{'a':1}", "invalid JSON: invalid character '\\'' looking for beginning of object key string"],
    ['{"a" 1}', "invalid JSON: invalid character '1' after object key"],
    ['{"a":}', "invalid JSON: invalid character '}' looking for beginning of value"],
    ['{"a":1 "b"}', "invalid JSON: invalid character '\"' after object key:value pair"],
    ['{"a":1,}', "invalid JSON: invalid character '}' looking for beginning of object key string"],
    ["[1,]", "invalid JSON: invalid character ']' looking for beginning of value"],
    ["[1 2]", "invalid JSON: invalid character '2' after array element"],
    ['"a\nb"', "invalid JSON: invalid character '\\n' in string literal"],
    ['"a\u0001b"', "invalid JSON: invalid character '\\x01' in string literal"],
    ['"\\x"', "invalid JSON: invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid JSON: invalid character 'g' in \\u hexadecimal character escape"],
    ["-x", "invalid JSON: invalid character 'x' in numeric literal"],
    ["1.x", "invalid JSON: invalid character 'x' after decimal point in numeric literal"],
    ["1ex", "invalid JSON: invalid character 'x' in exponent of numeric literal"],
    ["\u00e9", "invalid JSON: invalid character 'Ã' looking for beginning of value"],
    ["\ufeff{}", "invalid JSON: invalid character 'ï' looking for beginning of value"],
    ["😀", "invalid JSON: invalid character 'ð' looking for beginning of value"],
    ["[".repeat(10_001), "invalid JSON: exceeded max depth"],
  ];
  for (const [body, text] of mistakes) {
    test(JSON.stringify(body.slice(0, 20)), () => expect(refusal(() => read(body))).toBe(text));
  }

  test("jsonMistake never throws and always says something", () => {
    const pieces = fc.array(
      fc.oneof(fc.constantFrom(...'{}[]",:\\u0eE.+-tfn 1'), fc.string({ unit: "binary" })),
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        expect(jsonMistake(parts.join("")).length).toBeGreaterThan(5);
      }),
      { numRuns: 2_000 },
    );
  });

  test("it finds no mistake in JSON, and one in every JSON that is cut short", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(jsonMistake(text)).toBe("unexpected content after JSON");
        const cut = `[${text}`;
        expect(jsonMistake(cut)).toBe("invalid JSON: unexpected EOF");
      }),
    );
  });

  test("what JSON.parse refuses is refused in words, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const isJson = ((): boolean => {
          try {
            JSON.parse(text);
            return true;
          } catch {
            return false;
          }
        })();
        if (!isJson && text !== "") expect(refusal(() => read(text))).not.toStartWith("accepted");
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the content type", () => {
  const read = (contentType: string, body = "{}") =>
    refusal(() => readBody(request(body, contentType), struct));

  test("must be JSON where there is a body", () => {
    for (const fine of [
      "application/json",
      "Application/JSON; charset=utf-8",
      "application/json;",
    ]) {
      expect(read(fine)).toBe("accepted: {}");
    }
    expect(read("text/plain")).toBe(
      "unsupported Content-Type header (text/plain): must be 'application/json'",
    );
    expect(read("a/b/c")).toBe("malformed Content-Type header (a/b/c)");
    expect(read("")).toBe("malformed Content-Type header ()");
  });

  test("does not matter without a body, unless there is one", () => {
    expect(refusal(() => readBody(request(""), struct))).toBe("accepted: {}");
    expect(read("text/plain", "")).toContain("unsupported");
  });
});
