// The server over real Unix sockets: answers, requests, failing handlers, limits, memory.
import { describe, expect, test } from "bun:test";
import {
  bodyIs,
  count,
  fixtureForEachTest,
  gate,
  get,
  type HttpFixture,
  ok,
  post,
  turnsUntil,
} from "../../test/support/http-fixture.ts";
import { connectRaw } from "../../test/support/raw-http-client.ts";
import type { Handler, HttpRequest } from "./message.ts";

let fixture: HttpFixture;

fixtureForEachTest((fresh) => {
  fixture = fresh;
});

describe("answers", () => {
  test("are written whole: status, the handler's fields, date, length, body", async () => {
    await fixture.serve(() => ({ status: 201, headers: [["Server", "x"]], body: "grün\n" }));
    const client = await fixture.open();
    client.send(get("/"));
    const received = await client.until((text) => text.endsWith("n\n"));
    expect(Buffer.from(received, "latin1").toString()).toBe(
      "HTTP/1.1 201 Created\r\nServer: x\r\nDate: Thu, 15 Oct 2026 20:00:00 GMT\r\n" +
        "Content-Length: 6\r\n\r\ngrün\n",
    );
  });

  test("know who asks, once per connection", async () => {
    await fixture.serve(({ peer }) => ok(`${peer?.uid} ${peer?.gid} ${(peer?.pid ?? -1) > 2}`));
    const client = await fixture.open();
    client.send(get("/"));
    await client.until(bodyIs("7 8 true"));
    client.send(get("/"));
    await client.until((text) => count(text, "7 8 true") === 2);
    expect(fixture.peerQuestionCount).toBe(1);
  });

  test("to HEAD have the length and no body; 204 and 304 have neither", async () => {
    await fixture.serve(({ path: asked }) => ({
      status: asked === "/" ? 200 : Number(asked.slice(1)),
      headers: [],
      body: asked === "/" ? "12345" : undefined,
    }));
    const client = await fixture.open();
    client.send("HEAD / HTTP/1.1\r\nHost: d\r\n\r\n");
    client.send(get("/204") + get("/304") + get("/"));
    const received = await client.until(bodyIs("12345"));
    const [head, first, second] = received.split("\r\n\r\n");
    expect(head).toContain("Content-Length: 5");
    expect(first).toStartWith("HTTP/1.1 204 No Content");
    expect(second).toStartWith("HTTP/1.1 304 ");
    expect(`${first}${second}`).not.toContain("Content-Length");
  });

  test("of megabytes arrive whole, as text and as bytes", async () => {
    const text = "012345678ü".repeat(300_000);
    await fixture.serve(({ path: asked }) => ({
      status: 200,
      headers: [],
      body: asked === "/text" ? text : Buffer.from(text),
    }));
    const client = await fixture.open();
    client.send(get("/text") + get("/bytes") + get("/text", "Connection: close\r\n"));
    const received = await client.untilEnd();
    expect(count(received, "Content-Length: 3300000\r\n")).toBe(3);
    expect(count(received, Buffer.from(text).toString("latin1"))).toBe(3);
  });

  test("to HTTP/1.0 end the connection unless it asks for more", async () => {
    await fixture.serve(() => ok("x"));
    const client = await fixture.open();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(await client.until(bodyIs("x"))).toContain("Connection: keep-alive");
    client.send("GET / HTTP/1.0\r\n\r\n");
    expect(await client.untilEnd()).toContain("Connection: close");
  });

  test("come in order, one request at a time, for 100 pipelined requests", async () => {
    let runningCount = 0;
    await fixture.serve(async ({ path: asked }) => {
      runningCount += 1;
      expect(runningCount).toBe(1);
      for (let turn = Number(asked.slice(1)) % 3; turn > 0; turn--) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      runningCount -= 1;
      return ok(`<${asked}>`);
    });
    const client = await fixture.open();
    const targets = Array.from({ length: 100 }, (_, index) => `/${index}`);
    client.send(targets.map((target) => get(target)).join(""));
    const received = await client.until((text) => text.endsWith("</99>"));
    expect([...(received.match(/<[^>]*>/g) ?? [])]).toEqual(targets.map((target) => `<${target}>`));
    expect(fixture.failures).toEqual([]);
  });

  test("do not pile up for a client that sends requests and reads nothing", async () => {
    let handledCount = 0;
    await fixture.serve(() => {
      handledCount += 1;
      return ok("x".repeat(10_000));
    });
    const client = await fixture.open();
    client.socket.pause();
    client.send(get("/").repeat(2_000));
    await turnsUntil(() => handledCount > 10);
    for (let turn = 0; turn < 100; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The kernel's buffer and one of ours, not 20 MB.
    expect(handledCount).toBeLessThan(200);
    client.socket.resume();
    await client.until((text) => text.length >= 20_000_000);
    expect(handledCount).toBe(2_000);
  });
});

describe("requests", () => {
  test("may come byte by byte", async () => {
    await fixture.serve(({ body }) => ok(`got ${Buffer.from(body)}`));
    const client = await fixture.open();
    for (const byte of post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.until(bodyIs("got abc"))).toBeDefined();
  });

  test("that expect 100-continue get it, and a refusal instead if they are too large", async () => {
    await fixture.serve(({ body }) => ok(`got ${Buffer.from(body)}`), { bodyBytesMax: 10 });
    const client = await fixture.open();
    client.send(post("Content-Length: 3\r\nExpect: 100-continue\r\n"));
    expect(await client.until((text) => text.endsWith("\r\n\r\n"))).toBe(
      "HTTP/1.1 100 Continue\r\n\r\n",
    );
    client.send("abc");
    await client.until(bodyIs("got abc"));
    client.send(post("Content-Length: 11\r\nExpect: 100-continue\r\n"));
    const refused = await client.untilEnd();
    expect(count(refused, "100 Continue")).toBe(1);
    expect(refused).toContain("HTTP/1.1 413 ");
  });

  test("that are too large get their answer although they go on sending", async () => {
    await fixture.serve(() => ok("x"));
    const client = await fixture.open();
    client.send(post("Content-Length: 8000000\r\n"));
    client.send("x".repeat(8_000_000));
    const received = await client.untilEnd();
    expect(received).toContain("HTTP/1.1 413 Request Entity Too Large\r\n");
    expect(received).toContain("Connection: close\r\n");
    expect(received).toEndWith(
      '\r\n\r\n{"message":"the request body is larger than 4194304 bytes"}\n',
    );
    client.socket.end();
    await client.closed;
    await turnsUntil(() => fixture.server.connectionCount === 0);
  });

  test("that are no HTTP get an HTTP answer and the end of the connection", async () => {
    await fixture.serve(() => ok("x"));
    const client = await fixture.open();
    client.send("\x16\x03\x01 garbage");
    const received = await client.untilEnd();
    expect(received).toStartWith("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n");
    expect(received).toEndWith('{"message":"malformed HTTP request: a control character"}\n');
  });

  test("are answered although the client has ended its sending side", async () => {
    const wait = gate();
    let first: HttpRequest | undefined;
    await fixture.serve(async (request) => {
      first ??= request;
      await wait.opened;
      return ok(`<${request.path}>`);
    });
    const client = await fixture.open();
    client.socket.end(get("/1") + get("/2"));
    await turnsUntil(() => first?.connectionClosed.aborted === true);
    wait.open();
    const received = await client.untilEnd();
    expect(received).toContain("</1>");
    expect(received).toEndWith("</2>");
    await client.closed;
    await turnsUntil(() => fixture.server.connectionCount === 0);
  });

  test("wait at the client while one is in progress, and none is lost", async () => {
    const wait = gate();
    let handledCount = 0;
    await fixture.serve(async () => {
      handledCount += 1;
      await wait.opened;
      return ok("");
    });
    const client = await fixture.open();
    const requestCount = 200;
    client.send(post("Content-Length: 40000\r\n", "x".repeat(40_000)).repeat(requestCount));
    await turnsUntil(() => handledCount === 1);
    for (let turn = 0; turn < 200; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The client could not get rid of its 8 MB: the server has taken no more than its share.
    expect(client.socket.writableLength).toBeGreaterThan(0);
    wait.open();
    await turnsUntil(() => handledCount === requestCount);
    await client.until((text) => count(text, "HTTP/1.1 200") === requestCount);
  });
});

describe("handlers that fail", () => {
  const failing: readonly (readonly [what: string, handler: Handler])[] = [
    ["throw", () => fail()],
    ["reject", async () => fail()],
    ["break a header", () => ({ status: 200, headers: [["X", "a\r\nY: b"]], body: "" })],
    ["break a name", () => ({ status: 200, headers: [["X: Y", "a"]], body: "" })],
    ["write the length", () => ({ status: 200, headers: [["Content-length", "1"]], body: "" })],
    ["give a status that is none", () => ({ status: 99, headers: [], body: "" })],
  ];

  function fail(): never {
    throw new Error("oops");
  }

  test.each(failing)("when they %s, onHandlerError makes the answer", async (_, handler) => {
    await fixture.serve(handler);
    const client = await fixture.open();
    client.send(get("/") + get("/"));
    const received = await client.until((text) => count(text, "report 17") === 2);
    expect(count(received, "HTTP/1.1 500 Internal Server Error\r\n")).toBe(2);
    expect(received).not.toContain("Y: b");
    expect(fixture.failures).toHaveLength(2);
  });
});

describe("limits", () => {
  test("on connections: those over it get 503, those before go on", async () => {
    await fixture.serve(() => ok("x"), { connectionCountMax: 2 });
    const [first, second] = [await fixture.open(), await fixture.open()];
    const third = await fixture.open();
    const refused = await third.untilEnd();
    expect(refused).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    expect(refused).toContain("too many connections: the limit is 2");
    third.socket.end();
    for (const client of [first, second]) {
      client.send(get("/"));
      await client.until(bodyIs("x"));
    }
    first.socket.destroy();
    await turnsUntil(() => fixture.server.connectionCount === 1);
    expect(fixture.server.endedCount).toBe(2);
    const fourth = await fixture.open();
    fourth.send(get("/"));
    await fourth.until(bodyIs("x"));
  });

  test("of the owner: who is turned away hears why and leaves nothing behind", async () => {
    let openCount = 0;
    const admit = () => {
      if (openCount === 1) return "one is enough";
      openCount += 1;
      return () => {
        openCount -= 1;
      };
    };
    await fixture.serve(() => ok("x"), {}, { admit });
    const first = await fixture.open();
    for (let time = 0; time < 3; time += 1) {
      const refused = await (await fixture.open()).untilEnd();
      expect(refused).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
      expect(refused).toContain("one is enough");
    }
    expect(fixture.server.connectionCount).toBe(1);
    first.socket.destroy();
    await turnsUntil(() => openCount === 0);
    const next = await fixture.open();
    next.send(get("/"));
    await next.until(bodyIs("x"));
  });

  test("on unfinished requests together: large ones get 503", async () => {
    await fixture.serve(() => ok("x"));
    const body = "x".repeat(4_000_000);
    const senders = await Promise.all(Array.from({ length: 20 }, () => fixture.open()));
    for (const sender of senders) {
      sender.send(post("Content-Length: 4000001\r\n", body));
    }
    const refusedOf = () => senders.filter(({ received }) => received.includes("HTTP/1.1 503 "));
    await turnsUntil(() => refusedOf().length >= 4);
    for (const sender of senders) {
      sender.send("x");
    }
    await Promise.all(senders.map((sender) => sender.until((text) => text.includes("HTTP/1.1"))));
    expect(refusedOf().length).toBeLessThan(8);
  });
});

test("memory stays flat over 20,000 requests and 2,000 vanished clients", async () => {
  await fixture.serve(async ({ body }) => ok(`${body.length}`));
  const client = await fixture.open();
  const request = post("Content-Length: 500\r\n", "x".repeat(500));

  async function round(): Promise<number> {
    for (let batch = 0; batch < 100; batch++) {
      client.received = "";
      client.send(request.repeat(100));
      await client.until((text) => count(text, "\r\n\r\n500") === 100);
    }
    for (let index = 0; index < 1_000; index++) {
      const vanishing = await connectRaw(fixture.path);
      vanishing.send(request.slice(0, (index % request.length) + 1));
      vanishing.socket.destroy();
    }
    await turnsUntil(() => fixture.server.connectionCount === 1);
    Bun.gc(true);
    return process.memoryUsage().heapUsed;
  }

  const afterWarmUp = await round();
  const afterAll = await round();
  expect(fixture.server.connectionCount).toBe(1);
  expect(afterAll - afterWarmUp).toBeLessThan(2_000_000);
}, 60_000);
