// Whether a server answers, and which step of that failed; and limits that hide no better words.
import { describe, expect, test } from "bun:test";
import net from "node:net";
import { testOperation } from "../../test/support/operation.ts";
import { failureOf, operation } from "../../test/support/remote-bench.ts";
import { EngineError } from "../core/errors.ts";
import { connectTo, resolveHost } from "./connect.ts";
import { orAborted, within } from "./limited.ts";

const now = () => performance.now();

/** A port of this machine that takes connections until the result is disposed of. */
async function openPort() {
  const server = net.createServer((socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: address.port, [Symbol.asyncDispose]: close };
}

describe("connectTo", () => {
  test("says how long it took", async () => {
    await using open = await openPort();
    for (const host of ["127.0.0.1", "localhost"]) {
      expect(await connectTo({ host, port: open.port }, operation, now)).toBeGreaterThanOrEqual(0);
    }
  });

  test("a port that nobody listens on is the step connect", async () => {
    const { port } = await (async () => {
      await using open = await openPort();
      return open;
    })();
    const failure = await failureOf(connectTo({ host: "127.0.0.1", port }, operation, now));
    expect(failure.code).toBe("remote.unreachable");
    expect(failure.details).toEqual({ step: "connect" });
    expect(failure.message).toMatch(/^no connection to 127\.0\.0\.1:\d+: /);
  });

  test("a name that nobody knows is the step resolve", async () => {
    const failure = await failureOf(resolveHost("holdfast.invalid", operation));
    expect(failure.details).toEqual({ step: "resolve" });
    expect(failure.message).toInclude("holdfast.invalid");
  });

  test("who gives up hears of that", async () => {
    const signal = AbortSignal.abort(new EngineError("operation.cancelled", "given up"));
    const asked = connectTo({ host: "127.0.0.1", port: 9 }, testOperation(signal), now);
    expect((await failureOf(asked)).code).toBe("operation.cancelled");
  });
});

describe("within", () => {
  const limit = { limitMs: 5, what: "the step" };

  test("what takes too long is timed out", async () => {
    const work = within(limit, operation, ({ signal }) => orAborted(new Promise(() => {}), signal));
    const failure = await failureOf(work);
    expect(failure.code).toBe("driver.timed_out");
    expect(failure.message).toBe("the step did not end in 5 ms");
  });

  test("what is said in the last moment is kept", async () => {
    const work = within(limit, operation, async ({ signal }) => {
      await orAborted(new Promise(() => {}), signal).catch(() => undefined);
      throw new EngineError("remote.unsaved", "one file is left");
    });
    expect((await failureOf(work)).code).toBe("remote.unsaved");
  });

  test("the operation's own end stays its own", async () => {
    const controller = new AbortController();
    const long = { limitMs: 60_000, what: "the step" };
    const work = within(long, testOperation(controller.signal), ({ signal }) =>
      orAborted(new Promise(() => {}), signal),
    );
    controller.abort(new EngineError("operation.cancelled", "given up"));
    expect((await failureOf(work)).code).toBe("operation.cancelled");
  });
});
