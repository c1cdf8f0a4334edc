// The routes of secrets: bytes in, names and times out, and no refusal that repeats a value.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startedApi } from "../../../test/support/api-bench.ts";
import { SECRET_BYTES_MAX } from "../../core/secret-store.ts";
import { OWN_PREFIX } from "./route-contract.ts";

const secrets = `${OWN_PREFIX}secrets`;

function encoded(value: string | Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

test("a secret is kept, shown without its value, replaced and removed", async () => {
  await using api = await startedApi();
  const target = `${secrets}/nas`;
  const value = encoded(new Uint8Array(SECRET_BYTES_MAX).fill(254));
  const made = {
    ...{
      name: "nas",
      createdAt: "2026-10-15T20:00:00.000Z",
      updatedAt: "2026-10-15T20:00:00.000Z",
    },
    ...{ problem: null, volumes: [], trash: [] },
  };
  const first = await api.send("PUT", target, { body: { value } });
  expect([first.status, first.json]).toEqual([
    200,
    { ...made, replaced: false, refreshed: [], unreadable: [] },
  ]);
  const again = await api.send("PUT", target, { body: { value } });
  expect([again.status, again.json]).toMatchObject([409, { code: "secret.exists" }]);
  api.engine.nowMs += 1_000;
  const replaced = await api.send("PUT", target, { body: { value, replace: true } });
  const updated = { ...made, updatedAt: "2026-10-15T20:00:01.000Z" };
  expect(replaced.json).toMatchObject({ ...updated, replaced: true });
  expect((await api.send("GET", secrets)).json).toEqual({ secrets: [updated] });
  expect((await api.send("GET", target)).json).toEqual(updated);
  const removed = await api.send("DELETE", target);
  expect([removed.status, removed.json]).toEqual([200, updated]);
  for (const method of ["GET", "DELETE"]) {
    const { status, json } = await api.send(method, target);
    expect([status, json]).toMatchObject([404, { code: "secret.not_found" }]);
  }
});

describe("a refusal does not repeat the value", () => {
  const marker = "hunter2hunter2";
  test.each<[string, unknown, string]>([
    ["no base64", { value: marker }, "secret.invalid"],
    ["base64 without its padding", { value: encoded(marker).replace(/=+$/, "") }, "secret.invalid"],
    ["an empty one", { value: "" }, "secret.invalid"],
    ["a number", { value: 12_345_678 }, "request.invalid"],
    ["an object", { value: { password: marker } }, "request.invalid"],
    ["a list", { value: [marker] }, "request.invalid"],
    ["too long", { value: marker.repeat(10_000) }, "request.invalid"],
    ["too many bytes", { value: encoded("x".repeat(SECRET_BYTES_MAX + 1)) }, "secret.invalid"],
    ["a bare text", `"${marker}"`, "request.invalid"],
    ["no JSON", `value=${marker}`, "request.invalid"],
    ["a field that is not known", { password: marker }, "request.invalid"],
    ["none", { replace: true }, "request.invalid"],
  ])("%s", async (_, body, code) => {
    await using api = await startedApi();
    const answer = await api.send("PUT", `${secrets}/nas`, { body });
    expect([answer.status, answer.json]).toMatchObject([400, { code }]);
    const said = `${answer.body}${JSON.stringify(api.engine.log)}`;
    expect(said).not.toContain("hunter2");
    expect(said).not.toContain("12345678");
    expect(said).not.toContain(encoded(marker).slice(0, 12));
  });

  test("where the key is not to be used", async () => {
    await using api = await startedApi();
    const body = { value: encoded(marker), replace: true };
    await api.send("PUT", `${secrets}/nas`, { body });
    const text = readFileSync(api.engine.secretKey, "utf8");
    await Bun.write(api.engine.secretKey, "no key");
    const answer = await api.send("PUT", `${secrets}/nas`, { body });
    expect([answer.status, answer.json]).toMatchObject([500, { code: "secret.unreadable" }]);
    expect(answer.body).not.toContain(text.slice(-20).trim());
    const file = readFileSync(join(api.engine.root, "secrets", "nas"), "utf8");
    expect(file).not.toContain(encoded(marker).slice(0, 12));
  });
});
