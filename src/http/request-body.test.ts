// Streamed request bodies: whole ones, and clients and handlers that do not keep their part.
import { describe, expect, test } from "bun:test";
import {
  bodyIs,
  fixtureForEachTest,
  gate,
  get,
  type HttpFixture,
  ok,
  timeouts,
  turnsUntil,
} from "../../test/support/http-fixture.ts";
import { EngineError } from "../core/errors.ts";
import { DISCARDED_BYTES_MAX, WAITING_INPUT_BYTES_MAX } from "./limits.ts";
import type { HttpRequest } from "./message.ts";

const bodyBytesMax = 1_000;

let fixture: HttpFixture;

fixtureForEachTest((fresh) => {
  fixture = fresh;
});

function serve(handler: Parameters<HttpFixture["serve"]>[0]): Promise<void> {
  const streamsBody = (method: string, path: string) => method === "POST" && path === "/up";
  return fixture.serve(handler, { bodyBytesMax }, { streamsBody });
}

const up = (fields: string, body = "") => `POST /up HTTP/1.1\r\nHost: d\r\n${fields}\r\n${body}`;
const chunked = "Transfer-Encoding: chunked\r\n";
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const last = "0\r\n\r\n";

async function read(request: HttpRequest): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of request.bodyStream ?? []) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
}

/** A handler that says what it has read, or what ended its reading. */
async function echo(request: HttpRequest) {
  try {
    return ok(`[${await read(request)}]`);
  } catch (error) {
    fixture.failures.push(error);
    return ok("failed");
  }
}

/** Reading was given up in the way that is documented. */
function expectCancelled(): void {
  expect(fixture.failures).toHaveLength(1);
  const [error] = fixture.failures;
  expect(error instanceof EngineError && error.code).toBe("operation.cancelled");
}

describe("a body", () => {
  test("with a length, or in chunks, reaches the handler while it comes", async () => {
    const seen: string[] = [];
    await serve(async (request) => {
      for await (const piece of request.bodyStream ?? []) {
        seen.push(Buffer.from(piece).toString("latin1"));
      }
      return ok(seen.join(""));
    });
    for (const [head, pieces, end] of [
      [up("Content-Length: 6\r\n"), ["abc", "def"], ""],
      [up(chunked), [chunk("abc"), chunk("def")], last],
    ] as const) {
      const client = await fixture.open();
      seen.length = 0;
      client.send(head);
      client.send(pieces[0]);
      await turnsUntil(() => seen.join("") === "abc");
      client.send(pieces[1]);
      await turnsUntil(() => seen.join("") === "abcdef");
      client.send(end);
      await client.until(bodyIs("abcdef"));
    }
  });

  test("may be longer than bodies that are kept; others of that server may not", async () => {
    await serve(echo);
    const body = "x".repeat(bodyBytesMax + 1);
    const [one, two, other] = [await fixture.open(), await fixture.open(), await fixture.open()];
    one.send(up(`Content-Length: ${body.length}\r\n`, body));
    two.send(up(chunked, chunk(body) + last));
    other.send(up(`Content-Length: ${body.length}\r\n`, body).replace("/up", "/other"));
    await one.until(bodyIs(`[${body}]`));
    await two.until(bodyIs(`[${body}]`));
    expect(await other.untilEnd()).toContain("HTTP/1.1 413 ");
  });

  test("that is empty is none, or one without pieces", async () => {
    await serve(async (request) => ok(`${request.bodyStream !== undefined}${await read(request)}`));
    const client = await fixture.open();
    client.send(up("Content-Length: 0\r\n") + up(chunked, last) + up(""));
    await client.until((text) => text.split("HTTP/1.1 200").length === 4);
    expect(client.received.match(/(true|false)/g)).toEqual(["false", "true", "false"]);
  });

  test("however it is cut, is the same, and so is what follows it", async () => {
    await serve(echo);
    const requests =
      up("Content-Length: 5\r\n", "hello") +
      up(chunked, `${chunk("ab")}3;x=y\r\ncde\r\n0\r\nTrailer: t\r\n\r\n`) +
      get("/next");
    for (let size = 1; size < requests.length; size += 1) {
      const client = await fixture.open();
      for (let at = 0; at < requests.length; at += size) {
        client.send(requests.slice(at, at + size));
        if (size < 8) await new Promise((resolve) => setImmediate(resolve));
      }
      await client.until((text) => text.split("HTTP/1.1 200").length === 4);
      expect(client.received.match(/\[.*?\]/g)).toEqual(["[hello]", "[abcde]", "[]"]);
      client.socket.destroy();
    }
  });

  test("is asked for with 100 Continue when the handler wants it, not before", async () => {
    const wait = gate();
    await serve(async (request) => {
      await wait.opened;
      return echo(request);
    });
    const client = await fixture.open();
    client.send(up("Content-Length: 2\r\nExpect: 100-continue\r\n"));
    await turnsUntil(() => fixture.server.connectionCount === 1);
    expect(client.received).toBe("");
    wait.open();
    await client.until((text) => text.includes("100 Continue"));
    client.send("ok");
    await client.until(bodyIs("[ok]"));
  });
});

describe("a client", () => {
  test("that stalls gets 408, and the handler is told", async () => {
    await serve(echo);
    const client = await fixture.open();
    client.send(up("Content-Length: 5\r\nExpect: 100-continue\r\n"));
    await client.until((text) => text.includes("100 Continue"));
    fixture.pass(timeouts.bodyMs - 1);
    expect(client.hasEnded).toBe(false);
    fixture.pass(1);
    expect(await client.untilEnd()).toContain("HTTP/1.1 408 ");
    expectCancelled();
  });

  test("that trickles gets 408 after a while, one that is merely slow does not", async () => {
    let byteCount = 0;
    await serve(async (request) => {
      for await (const piece of request.bodyStream ?? []) byteCount += piece.length;
      return ok("done");
    });
    const [slow, trickle] = [await fixture.open(), await fixture.open()];
    const kilobytes = "x".repeat(10_000);
    const seconds = (timeouts.bodyMs / 1_000) * 2;
    slow.send(up(`Content-Length: ${seconds * kilobytes.length}\r\n`));
    trickle.send(up("Content-Length: 1000000\r\n"));
    for (let second = 0; second < seconds; second += 1) {
      slow.send(kilobytes);
      const before = byteCount;
      if (!trickle.hasEnded) trickle.send("y");
      await turnsUntil(() => byteCount >= before + kilobytes.length);
      fixture.pass(1_000);
    }
    await slow.until(bodyIs("done"));
    expect(await trickle.untilEnd()).toContain("HTTP/1.1 408 ");
  });

  test("that stalls after much has come gets 408 as soon", async () => {
    let byteCount = 0;
    await serve(async (request) => {
      for await (const piece of request.bodyStream ?? []) byteCount += piece.length;
      return ok("done");
    });
    const client = await fixture.open();
    const much = "x".repeat(1_000_000);
    client.send(up("Content-Length: 2000000\r\n", much));
    await turnsUntil(() => byteCount === much.length);
    fixture.pass(timeouts.bodyMs - 1);
    expect(client.hasEnded).toBe(false);
    fixture.pass(1);
    expect(await client.untilEnd()).toContain("HTTP/1.1 408 ");
  });

  test("that goes away, or ends its side, in the middle: the handler is told", async () => {
    await serve(echo);
    const gone = await fixture.open();
    gone.send(up("Content-Length: 5\r\n", "ab"));
    await turnsUntil(() => fixture.server.connectionCount === 1);
    gone.socket.destroy();
    await turnsUntil(() => fixture.failures.length === 1);
    expectCancelled();
    fixture.failures.length = 0;
    const ended = await fixture.open();
    ended.send(up(chunked, chunk("abc")));
    ended.socket.end();
    expect(await ended.untilEnd()).toContain("HTTP/1.1 400 ");
    expectCancelled();
    await turnsUntil(() => fixture.server.connectionCount === 0);
  });

  test("that sends what is no chunk gets 400, and the handler is told", async () => {
    await serve(echo);
    const client = await fixture.open();
    client.send(up(chunked, `${chunk("abc")}zz\r\n`));
    expect(await client.untilEnd()).toContain("HTTP/1.1 400 ");
    expectCancelled();
  });

  test("that sends more than its Content-Length has sent another request, a bad one", async () => {
    await serve(echo);
    const client = await fixture.open();
    client.send(up("Content-Length: 3\r\n", "abcdef\r\n"));
    expect(await client.untilEnd()).toMatch(/\[abc\].*HTTP\/1.1 400 /s);
  });

  test("that sends faster than the handler reads is slowed down", async () => {
    const wait = gate();
    await serve(async (request) => {
      await wait.opened;
      let byteCount = 0;
      for await (const piece of request.bodyStream ?? []) byteCount += piece.length;
      return ok(String(byteCount));
    });
    const client = await fixture.open();
    const total = 8 * 1024 * 1024;
    client.send(up(`Content-Length: ${total}\r\n`));
    client.send("x".repeat(total));
    await turnsUntil(() => fixture.server.connectionCount === 1);
    for (let turn = 0; turn < 100; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What the server took is what the client no longer has, less what the kernel keeps.
    expect(client.socket.writableLength).toBeGreaterThan(total - 64 * WAITING_INPUT_BYTES_MAX);
    wait.open();
    await client.until(bodyIs(String(total)));
  });
});

describe("a handler", () => {
  test("that never reads: a short rest is skipped, and the connection goes on", async () => {
    await serve(() => ok("no"));
    const client = await fixture.open();
    client.send(up("Content-Length: 3\r\n", "abc") + up(chunked, chunk("abc") + last) + get("/"));
    await client.until((text) => text.split("HTTP/1.1 200").length === 4);
    expect(client.received).not.toContain("Connection: close");
  });

  test("that stops early: what is yet to come ends the connection, after the answer", async () => {
    await serve(async (request) => {
      for await (const _ of request.bodyStream ?? []) break;
      return ok("enough");
    });
    const client = await fixture.open();
    client.send(up("Content-Length: 1000000\r\n", "abc"));
    await client.until(bodyIs("enough"));
    expect(client.received).toContain("Connection: close\r\n");
    client.send("x".repeat(100_000));
    await client.untilEnd();
    fixture.pass(timeouts.lingerMs);
    await turnsUntil(() => fixture.server.connectionCount === 0);
  });

  test("that stops early: no more than a limit is thrown away", async () => {
    await serve(() => ok("no"));
    const client = await fixture.open();
    client.send(up(`Content-Length: ${DISCARDED_BYTES_MAX * 2}\r\n`));
    await client.until(bodyIs("no"));
    client.send("x".repeat(DISCARDED_BYTES_MAX + 1024 * 1024));
    await client.closed;
    await turnsUntil(() => fixture.server.connectionCount === 0);
  });

  test("that throws, or answers while it still reads, is answered for", async () => {
    let late: Promise<string> | undefined;
    await serve((request) => {
      if (request.query === "throw") throw new Error("no");
      late = read(request);
      late.catch((error) => fixture.failures.push(error));
      return ok("early");
    });
    const [thrower, early] = [await fixture.open(), await fixture.open()];
    thrower.send(up("Content-Length: 5\r\n").replace("/up", "/up?throw"));
    expect(await thrower.untilEnd()).toContain("HTTP/1.1 500 ");
    fixture.failures.length = 0;
    early.send(up("Content-Length: 5\r\n", "ab"));
    await early.until(bodyIs("early"));
    await turnsUntil(() => fixture.failures.length === 1);
    expectCancelled();
  });

  test("that reads when the server is closed is told", async () => {
    await serve(echo);
    const client = await fixture.open();
    client.send(up("Content-Length: 5\r\nExpect: 100-continue\r\n"));
    await client.until((text) => text.includes("100 Continue"));
    await fixture.server.close({ drainMs: 0 });
    await turnsUntil(() => fixture.failures.length === 1);
    expectCancelled();
  });

  test("that works on when the body is whole is not hurried", async () => {
    const wait = gate();
    let isRead = false;
    await serve(async (request) => {
      const text = await read(request);
      isRead = true;
      await wait.opened;
      return ok(text);
    });
    const client = await fixture.open();
    client.send(up("Content-Length: 2\r\n", "ok"));
    await turnsUntil(() => isRead);
    fixture.pass(timeouts.bodyMs * 10);
    expect(client.hasEnded).toBe(false);
    wait.open();
    await client.until(bodyIs("ok"));
  });
});
