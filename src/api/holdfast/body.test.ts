// Bodies of own routes: what fits is read, what does not is named with its value and the rule.
import { describe, expect, test } from "bun:test";
import { startedApi } from "../../../test/support/api-bench.ts";
import { OWN_PREFIX } from "./route-contract.ts";

type Case = readonly [method: string, path: string, body: unknown, message: string];

const refused: readonly Case[] = [
  ["PUT", "volumes/wiki/protection", undefined, "reason is missing: text of 1 to 1000 characters"],
  ["PUT", "volumes/wiki/protection", {}, "reason is missing: text of 1 to 1000 characters"],
  ["PUT", "volumes/wiki/protection", { reason: "" }, 'reason "": text of 1 to 1000'],
  ["PUT", "volumes/wiki/protection", { reason: "x".repeat(1_001) }, 'reason "xxx'],
  ["PUT", "volumes/wiki/protection", { reason: 1 }, "reason 1: text of 1 to 1000 characters"],
  ["PUT", "volumes/wiki/protection", { reason: null }, "reason null: text of 1 to 1000"],
  [
    "PUT",
    "volumes/wiki/protection",
    { reason: "x", why: "y" },
    "unknown field why: the body takes reason",
  ],
  ["PUT", "volumes/wiki/protection", '{"__proto__":1}', "unknown field __proto__"],
  ["PUT", "volumes/wiki/protection", "{", "body: a JSON object in UTF-8 is needed"],
  ["PUT", "volumes/wiki/protection", [], "body []: an object is needed"],
  ["PUT", "volumes/wiki/protection", "null", "body null: an object is needed"],
  ["PUT", "volumes/wiki/protection", '"x"', 'body "x": an object is needed'],
  ["PATCH", "volumes/wiki", { labelsSet: [] }, "labelsSet []: an object of texts is needed"],
  ["PATCH", "volumes/wiki", { labelsSet: { a: 1 } }, "labelsSet.a 1: text is needed"],
  ["PATCH", "volumes/wiki", { labelsSet: { a: null } }, "labelsSet.a null: text is needed"],
  ["PATCH", "volumes/wiki", { labelsRemoved: "a" }, 'labelsRemoved "a": a list of texts is needed'],
  ["PATCH", "volumes/wiki", { labelsRemoved: ["a", 1] }, "labelsRemoved[1] 1: text is needed"],
  ["PATCH", "volumes/wiki", { note: 1 }, "note 1: text of 1 to 1000 characters or null is needed"],
  [
    "PATCH",
    "volumes/wiki",
    { labelsRemoved: Array.from({ length: 1_001 }, () => "a") },
    "labelsRemoved: at most 1000 are allowed",
  ],
  ["POST", "volumes/wiki/rename", { to: "x2", keepAlias: "yes" }, 'keepAlias "yes": true or false'],
  ["POST", "prune-plans", { unusedForMs: -1 }, "unusedForMs -1: a whole number from 0 on"],
  ["POST", "prune-plans", { unusedForMs: 1.5 }, "unusedForMs 1.5: a whole number from 0 on"],
  ["POST", "prune-plans", { largerBytes: "1G" }, 'largerBytes "1G": a whole number from 0 on'],
  ["DELETE", "volumes/wiki/protection?confirm=wiki", {}, "body: this route takes none"],
  ["GET", "health", {}, "body: this route takes none"],
];

describe("a body that does not fit", () => {
  test.each(refused)("%s %s %j", async (method, path, body, message) => {
    await using api = await startedApi();
    await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
    const answer = await api.send(method, `${OWN_PREFIX}${path}`, { body });
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ code: "request.invalid" });
    expect((answer.json as { readonly message: string }).message).toStartWith(message);
    expect(api.engine.events.map(({ action }) => action)).toEqual(["create"]);
  });

  test("of another type is refused, one without a type is read", async () => {
    await using api = await startedApi();
    await api.send("POST", "/volumes/create", { body: { Name: "wiki" } });
    const path = `${OWN_PREFIX}volumes/wiki/protection`;
    const body = { reason: "x" };
    const headers = { "content-type": "text/plain" };
    const refusal = await api.send("PUT", path, { body, headers });
    expect(refusal.json).toMatchObject({
      message: 'Content-Type "text/plain": application/json is needed',
    });
    expect((await api.send("PUT", path, { body, isUntyped: true })).status).toBe(200);
    const latin = { body, headers: { "content-type": "Application/JSON; charset=utf-8" } };
    expect((await api.send("PUT", path, latin)).status).toBe(200);
  });
});
