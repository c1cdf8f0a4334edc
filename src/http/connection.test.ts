// Connections over time: slow and vanishing clients, streams, draining.
import { describe, expect, test } from "bun:test";
import {
  bodyIs,
  fixtureForEachTest,
  gate,
  get,
  type HttpFixture,
  ok,
  post,
  timeouts,
  turnsUntil,
} from "../../test/support/http-fixture.ts";
import { connectRaw } from "../../test/support/raw-http-client.ts";
import { STREAM_UNSENT_BYTES_MAX } from "./limits.ts";
import type { HttpRequest, StreamWriter } from "./message.ts";

let fixture: HttpFixture;

fixtureForEachTest((fresh) => {
  fixture = fresh;
});

describe("clients that are slow", () => {
  test("get 408 for a head, and for a body, that does not end", async () => {
    await fixture.serve(() => ok("x"));
    const [head, body] = [await fixture.open(), await fixture.open()];
    head.send("GET / HT");
    body.send(post("Content-Length: 5\r\nExpect: 100-continue\r\n"));
    await body.until((text) => text.includes("100 Continue"));
    await turnsUntil(() => fixture.server.connectionCount === 2);
    fixture.pass(timeouts.headMs);
    expect(await head.untilEnd()).toContain("HTTP/1.1 408 Request Timeout");
    expect(body.hasEnded).toBe(false);
    fixture.pass(timeouts.bodyMs - timeouts.headMs);
    expect(await body.untilEnd()).toContain("the body of the request took too long");
    fixture.pass(timeouts.lingerMs);
    expect(fixture.server.connectionCount).toBe(0);
  });

  test("cannot stretch a head by sending a byte now and then", async () => {
    await fixture.serve(() => ok("x"));
    const client = await fixture.open();
    let secondCount = 0;
    while (!client.hasEnded) {
      client.send("G");
      await new Promise((resolve) => setImmediate(resolve));
      fixture.pass(1_000);
      secondCount += 1;
      expect(secondCount).toBeLessThan(20);
    }
    expect(await client.untilEnd()).toContain("HTTP/1.1 408 ");
  });

  test("are closed when idle, not before, and not while a handler works for them", async () => {
    const wait = gate();
    let isHandled = false;
    await fixture.serve(async () => {
      isHandled = true;
      await wait.opened;
      return ok("x");
    });
    const client = await fixture.open();
    client.send(get("/"));
    await turnsUntil(() => isHandled);
    fixture.pass(timeouts.idleMs * 10);
    wait.open();
    await client.until(bodyIs("x"));
    fixture.pass(timeouts.idleMs - 1);
    expect(fixture.server.connectionCount).toBe(1);
    fixture.pass(1);
    expect(fixture.server.connectionCount).toBe(0);
    await client.untilEnd();
  });

  test("are cut off when they do not read a long answer, not while they do", async () => {
    let isHandled = false;
    await fixture.serve(() => {
      isHandled = true;
      return ok("x".repeat(20_000_000));
    });
    const client = await fixture.open();
    client.socket.pause();
    client.send(get("/"));
    await turnsUntil(() => isHandled);
    fixture.pass(timeouts.stallMs - 1);
    client.socket.resume();
    await client.until((text) => text.length > 1_000_000);
    client.socket.pause();
    fixture.pass(timeouts.stallMs - 1);
    expect(fixture.server.connectionCount).toBe(1);
    fixture.pass(timeouts.stallMs);
    expect(fixture.server.connectionCount).toBe(0);
  });
});

describe("clients that end their input in the middle of a request, and still read", () => {
  const truncated: readonly (readonly [what: string, sent: string])[] = [
    ["a body", post("Content-Length: 50\r\n", "sixteen letters.")],
    ["a body that has not begun", post("Content-Length: 50\r\n")],
    ["a chunked body", post("Transfer-Encoding: chunked\r\n", "5\r\nhel")],
    ["a head", "GET / HTTP/1.1\r\nHo"],
  ];
  for (const [what, sent] of truncated) {
    test(`get 400 for ${what}`, async () => {
      let handledCount = 0;
      await fixture.serve(() => {
        handledCount += 1;
        return ok("x");
      });
      const client = await fixture.open();
      client.send(sent);
      client.socket.end();
      const text = await client.untilEnd();
      expect(text).toStartWith("HTTP/1.1 400 Bad Request\r\n");
      expect(text).toContain("the input ended before the request did");
      expect(handledCount).toBe(0);
    });
  }

  test("get it behind the answers of the requests that are whole", async () => {
    const wait = gate();
    await fixture.serve(async () => {
      await wait.opened;
      return ok("first");
    });
    const client = await fixture.open();
    client.send(get("/") + post("Content-Length: 50\r\n", "sixteen letters."));
    client.socket.end();
    wait.open();
    const text = await client.untilEnd();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK.*first.*HTTP\/1\.1 400 Bad Request/s);
  });

  test("get nothing more when nothing was begun", async () => {
    await fixture.serve(() => ok("x"));
    const client = await fixture.open();
    client.socket.end();
    expect(await client.untilEnd()).toBe("");
  });
});

describe("clients that go away", () => {
  test("abort the signal of a handler that works for them", async () => {
    const aborted = gate();
    let seen: HttpRequest | undefined;
    await fixture.serve(async (request) => {
      seen = request;
      request.connectionClosed.addEventListener("abort", aborted.open);
      await aborted.opened;
      throw new Error("cancelled");
    });
    const client = await fixture.open();
    client.send(get("/"));
    await turnsUntil(() => seen !== undefined);
    client.socket.destroy();
    await aborted.opened;
    await turnsUntil(() => fixture.server.connectionCount === 0 && fixture.failures.length === 1);
    expect(seen?.connectionClosed.aborted).toBe(true);
    // No bug of ours, for whoever passes it on.
    expect(seen?.connectionClosed.reason).toMatchObject({ code: "operation.cancelled" });
  });

  test("do not abort the signal of a request that was answered", async () => {
    let seen: HttpRequest | undefined;
    await fixture.serve((request) => {
      seen = request;
      return ok("x");
    });
    const client = await fixture.open();
    client.send(get("/"));
    await client.until(bodyIs("x"));
    client.socket.destroy();
    await turnsUntil(() => fixture.server.connectionCount === 0);
    expect(seen?.connectionClosed.aborted).toBe(false);
  });

  test("in the middle of a request leave nothing behind", async () => {
    await fixture.serve(() => ok("x"));
    for (const part of ["G", get("/").slice(0, -1), post("Content-Length: 9\r\n", "1234")]) {
      const client = await fixture.open();
      client.send(part);
      await turnsUntil(() => fixture.server.connectionCount === 1);
      client.socket.destroy();
      await turnsUntil(() => fixture.server.connectionCount === 0);
    }
  });
});

describe("streams", () => {
  let writer: StreamWriter;
  let hasStarted: boolean;

  async function serveStream(endless = true): Promise<void> {
    hasStarted = false;
    await fixture.serve(({ path: asked }) =>
      asked === "/plain"
        ? ok("plain")
        : {
            status: 200,
            headers: [],
            endless,
            stream: (given) => {
              writer = given;
              hasStarted = true;
            },
          },
    );
  }

  test("send their head at once, then chunks, then leave the connection usable", async () => {
    await serveStream();
    const client = await fixture.open();
    client.send(get("/"));
    const head = await client.until((text) => text.endsWith("\r\n\r\n"));
    expect(head).toContain("Transfer-Encoding: chunked\r\n");
    expect(head).not.toContain("Content-Length");
    expect(writer.write("")).toBe(true);
    expect(writer.write("grün\n")).toBe(true);
    expect(writer.write(Buffer.from("x".repeat(17)))).toBe(true);
    client.send(get("/plain"));
    writer.end();
    expect(writer.write("late")).toBe(false);
    writer.end();
    const received = await client.until((text) => text.endsWith("plain"));
    const start = "6\r\ngr\xc3\xbcn\n\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n";
    expect(received.slice(head.length)).toStartWith(start);
    expect(writer.closed.aborted).toBe(false);
  });

  test("to HTTP/1.0 are not chunked and end with the connection; HEAD gets the head", async () => {
    await serveStream();
    const [old, head] = [await fixture.open(), await fixture.open()];
    old.send("GET / HTTP/1.0\r\n\r\n");
    await old.until((text) => text.endsWith("\r\n\r\n"));
    writer.write("abc");
    writer.end();
    expect(await old.untilEnd()).toEndWith("Connection: close\r\n\r\nabc");
    head.send("HEAD / HTTP/1.1\r\nHost: d\r\n\r\n");
    expect(await head.until((text) => text.endsWith("\r\n\r\n"))).not.toContain("Length");
  });

  test("cut off a reader that leaves too much unread", async () => {
    await serveStream();
    const client = await fixture.open();
    client.socket.pause();
    client.send(get("/"));
    await turnsUntil(() => hasStarted);
    const chunk = "x".repeat(10_000);
    let sentBytes = 0;
    while (writer.write(chunk)) {
      sentBytes += chunk.length;
      expect(sentBytes).toBeLessThan(4 * STREAM_UNSENT_BYTES_MAX);
    }
    expect(sentBytes).toBeGreaterThan(STREAM_UNSENT_BYTES_MAX / 2);
    expect(writer.closed.aborted).toBe(true);
    expect(fixture.server.connectionCount).toBe(0);
  });

  test("cut off a reader that takes nothing for too long, but not a quiet stream", async () => {
    await serveStream();
    const client = await fixture.open();
    client.socket.pause();
    client.send(get("/"));
    await turnsUntil(() => hasStarted);
    fixture.pass(timeouts.idleMs * 10);
    expect(writer.closed.aborted).toBe(false);
    writer.write("x".repeat(STREAM_UNSENT_BYTES_MAX / 2));
    await new Promise((resolve) => setImmediate(resolve));
    fixture.pass(timeouts.stallMs - 1);
    expect(writer.closed.aborted).toBe(false);
    fixture.pass(timeouts.stallMs);
    expect(writer.closed.aborted).toBe(true);
  });

  test("learn that their reader has gone", async () => {
    await serveStream();
    const client = await fixture.open();
    client.send(get("/"));
    await client.until((text) => text.endsWith("\r\n\r\n"));
    const closed = gate();
    writer.closed.addEventListener("abort", closed.open);
    client.socket.destroy();
    await closed.opened;
    expect(writer.write("x")).toBe(false);
  });

  test("end in order when the server drains, if they are endless", async () => {
    await serveStream();
    const client = await fixture.open();
    client.send(get("/"));
    await client.until((text) => text.endsWith("\r\n\r\n"));
    const closing = fixture.server.close({ drainMs: 60_000 });
    expect(await client.untilEnd()).toEndWith("\r\n0\r\n\r\n");
    expect(writer.closed.aborted).toBe(true);
    client.socket.end();
    expect(await closing).toBe(0);
  });

  test("may finish when the server drains, if they have an end", async () => {
    await serveStream(false);
    const client = await fixture.open();
    client.send(get("/"));
    await client.until((text) => text.endsWith("\r\n\r\n"));
    const closing = fixture.server.close({ drainMs: 60_000 });
    expect(writer.write("last")).toBe(true);
    writer.end();
    expect(await client.untilEnd()).toEndWith("4\r\nlast\r\n0\r\n\r\n");
    client.socket.end();
    expect(await closing).toBe(0);
  });
});

describe("draining", () => {
  test("ends what is idle, finishes what is in progress, accepts nothing new", async () => {
    const wait = gate();
    let handledCount = 0;
    await fixture.serve(async () => {
      handledCount += 1;
      await wait.opened;
      return ok("done");
    });
    const [idle, busy] = [await fixture.open(), await fixture.open()];
    busy.send(get("/"));
    await turnsUntil(() => handledCount === 1 && fixture.server.connectionCount === 2);
    const closing = fixture.server.close({ drainMs: 60_000 });
    await idle.untilEnd();
    idle.socket.end();
    await expect(connectRaw(fixture.path)).rejects.toThrow();
    wait.open();
    const received = await busy.untilEnd();
    expect(received).toContain("Connection: close\r\n");
    expect(received).toEndWith("done");
    busy.socket.end();
    expect(await closing).toBe(0);
  });

  test("cuts off what is not done in time, and says how much that was", async () => {
    let isHandled = false;
    await fixture.serve(() => {
      isHandled = true;
      return new Promise(() => undefined);
    });
    const client = await fixture.open();
    client.send(get("/"));
    await turnsUntil(() => isHandled);
    expect(await fixture.server.close({ drainMs: 10 })).toBe(1);
    await client.untilEnd();
    expect(fixture.server.connectionCount).toBe(0);
  });
});
