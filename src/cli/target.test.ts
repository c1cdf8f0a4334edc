// Which daemon the command line talks to when nobody says it.
import { expect, test } from "bun:test";
import { findTarget } from "./target.ts";
import type { Terminal } from "./terminal.ts";

const ofHost = "/run/holdfast/holdfast.sock";
const own = "/run/user/1000/holdfast/holdfast.sock";
const mine = "/run/me/holdfast/holdfast.sock";

interface User {
  readonly id?: number;
  readonly runtime?: string;
  /** Where there are sockets. */
  readonly sockets: readonly string[];
}

async function found({ id = 1000, runtime, sockets }: User): Promise<string> {
  const unused = () => Promise.reject(new Error("nobody asks for this"));
  const terminal: Terminal = {
    env: { XDG_RUNTIME_DIR: runtime },
    userId: () => Promise.resolve(id),
    exists: (path) => Promise.resolve(sockets.includes(path)),
    ...{ out: unused, err: unused, errWithin: unused, readLine: unused, readAll: unused },
    ...{ isOutTerminal: unused, isErrTerminal: unused, isInTerminal: unused },
    ...{ readHidden: unused, outColumns: () => undefined, nowMs: () => 0 },
  };
  return (await findTarget(undefined, terminal)).socketPath;
}

test("a user's own daemon comes first", async () => {
  expect(await found({ runtime: "/run/me", sockets: [mine, ofHost] })).toBe(mine);
  expect(await found({ sockets: [own, ofHost] })).toBe(own);
});

test("without one it is the host's, which needs neither sudo nor a variable", async () => {
  expect(await found({ runtime: "/run/me", sockets: [ofHost] })).toBe(ofHost);
  expect(await found({ sockets: [ofHost] })).toBe(ofHost);
  expect(await found({ id: 0, runtime: "/run/me", sockets: [mine] })).toBe(ofHost);
});

test("where nobody listens it is the place in which the user's own would", async () => {
  expect(await found({ runtime: "/run/me", sockets: [] })).toBe(mine);
  expect(await found({ sockets: [] })).toBe(own);
});
