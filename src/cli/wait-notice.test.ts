// What a person at a terminal is told while something takes its time, and that it goes away.
import { expect, test } from "bun:test";
import { FakeDaemon, json, runWords } from "../../test/support/fake-daemon.ts";
import type { Terminal } from "./terminal.ts";
import { withNotice } from "./wait-notice.ts";

/** Of it only what a notice needs. */
function terminalOf(isTerminal: boolean, said: (text: string) => void): Terminal {
  const unused = () => Promise.reject(new Error("nobody asks for this"));
  return {
    env: { NO_COLOR: "1" },
    isErrTerminal: () => Promise.resolve(isTerminal),
    err: (text) => Promise.resolve(said(text)),
    ...{
      userId: unused,
      exists: unused,
      out: unused,
      isOutTerminal: unused,
      outColumns: () => undefined,
      readLine: unused,
      readAll: unused,
    },
    ...{ errWithin: unused, isInTerminal: unused, readHidden: unused, nowMs: () => 0 },
  };
}

test("what takes long is told, and the line is cleared when it has ended", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  let text = "";
  const terminal = terminalOf(true, (more) => {
    text += more;
    // It ends as soon as it is told.
    resolve(7);
  });
  expect(await withNotice(terminal, "waiting …", promise)).toBe(7);
  expect(text).toBe("waiting …\r\x1b[K");
});

test("what ends at once, or fails, is told as it is", async () => {
  const terminal = terminalOf(true, () => {
    throw new Error("nothing is to be said");
  });
  expect(await withNotice(terminal, "waiting …", Promise.resolve(1))).toBe(1);
  const failure = withNotice(terminal, "waiting …", Promise.reject(new Error("no server")));
  expect(failure).rejects.toThrow("no server");
});

test("a create of what is there already says that other options were not taken", async () => {
  const volume = { Name: "media", Driver: "nfs", Options: { server: "old.lan", path: "/a" } };
  await using daemon = await FakeDaemon.start(() => json(volume, 201));
  const create = async (server: string, isTerminal: boolean) => {
    const words = ["volume", "create", "-d", "nfs", "-o", `server=${server}`, "media"];
    return await runWords(words, daemon.host, { isTerminal, env: { NO_COLOR: "1" } });
  };
  const told = await create("new.lan", true);
  expect(told).toMatchObject({ exit: 0, stdout: "media\n" });
  expect(told.stderr).toContain("media was there already, with other options: they stay");
  expect((await create("old.lan", true)).stderr).toBe("");
  // As Docker's client, for scripts.
  expect((await create("new.lan", false)).stderr).toBe("");
});
