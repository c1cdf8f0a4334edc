// POST /auth: what `docker login` and docker-py send, and what they understand.
import { expect, test } from "bun:test";
import { exchange } from "../../../test/docker/wire.ts";
import { startPluginApi } from "../../../test/support/plugin-api.ts";

test("a login is answered in Docker's form, and its password is nowhere in it", async () => {
  await using api = await startPluginApi();
  const send = async (body: unknown) => {
    const headers = { "Content-Type": "application/json" };
    const request = { method: "POST", path: "/v1.41/auth", headers, body: JSON.stringify(body) };
    const { status, body: text } = await exchange(api.socketPath, request);
    return [status, JSON.parse(text)];
  };
  const server = { serveraddress: "127.0.0.1:5000" };
  const good = { ...server, username: "me", password: "hunter2", email: "" };
  const done = { IdentityToken: "", Status: "Login Succeeded" };
  expect(await send(good)).toEqual([200, done]);
  expect(api.plugins.calls[0]?.auth).toEqual({ username: "me", password: "hunter2" });
  // As docker-py writes it.
  const shouted = { ServerAddress: "127.0.0.1:5000", Username: "me", Password: "hunter2" };
  expect(await send(shouted)).toEqual([200, done]);
  const refused = { message: "login attempt to 127.0.0.1:5000 failed" };
  expect(await send({ ...good, password: "hunter3" })).toEqual([401, refused]);
  const nobody = { message: "no registry at r.io" };
  expect(await send({ ...good, serveraddress: "r.io" })).toEqual([500, nobody]);
  expect((await send("x"))[0]).toBe(400);
});
