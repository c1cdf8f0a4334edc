// The HTTP client against servers that answer in pieces, late, wrongly, or not at all.
import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { FakeDaemon, json, runWords } from "../../test/support/fake-daemon.ts";
import { compareVersions, DaemonClient, measuringSilenceMs } from "./client.ts";
import { DaemonRefusal, DaemonUnreachable } from "./failure.ts";
import { MalformedReply, ReplyParser } from "./reply-parser.ts";

function parse(pieces: readonly Uint8Array[], method = "GET"): string[] {
  const seen: string[] = [];
  const decoder = new TextDecoder();
  let body = "";
  const parser = new ReplyParser({
    head: ({ status }) => seen.push(`head ${status}`),
    body: (bytes) => {
      body += decoder.decode(bytes, { stream: true });
    },
    end: () => seen.push(`end ${body}`),
  });
  parser.expectReply(method);
  for (const piece of pieces) parser.push(piece);
  if (parser.close()) seen.push("closed");
  return seen;
}

const replies: readonly (readonly [string, string, string[]])[] = [
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ["head 200", "end hello"]],
  [
    "chunks",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n" +
      "0\r\nT: 1\r\n\r\n",
    ["head 200", "end hello"],
  ],
  ["no body", "HTTP/1.1 204 No Content\r\nApi-Version: 1.51\r\n\r\n", ["head 204", "end "]],
  ["an empty body", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ["head 200", "end "]],
  ["the end of the connection", "HTTP/1.1 500 Oh\r\n\r\nno", ["head 500", "end no", "closed"]],
  [
    "an interim reply",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ["head 200", "end x"],
  ],
];

describe("ReplyParser", () => {
  test.each(replies)("reads %s, cut at every byte", (_, text, expected) => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at <= bytes.length; at++) {
      const seen = parse([bytes.slice(0, at), bytes.slice(at)]);
      expect(seen).toEqual(expected);
    }
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  test("knows that a reply to HEAD has no body", () => {
    const text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    expect(parse([new TextEncoder().encode(text)], "HEAD")).toEqual(["head 200", "end "]);
  });

  test.each([
    ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["a header without a colon", "HTTP/1.1 200 OK\r\nfoo\r\n\r\n"],
    ["a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n"],
    ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"],
    ["a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    [
      "a chunk that is too long",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ],
    ["headers without an end", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(20_000)}`],
  ])("refuses %s", (_, text) => {
    expect(() => parse([new TextEncoder().encode(text)])).toThrow(MalformedReply);
  });
});

describe("DaemonClient", () => {
  test("keeps one connection for several requests", async () => {
    const sockets = new Set<Socket>();
    await using daemon = await FakeDaemon.start((request, socket) => {
      sockets.add(socket);
      return json({ path: request.path, body: request.body });
    });
    const client = new DaemonClient({ host: daemon.host, socketPath: daemon.socketPath });
    for (const name of ["a", "é/b"]) {
      const reply = await client.json<{ path: string; body: string }>({
        method: "POST",
        path: `/volumes/${encodeURIComponent(name)}`,
        body: { Name: name },
      });
      expect(reply).toEqual({ path: `/v1.51/volumes/${name}`, body: `{"Name":"${name}"}` });
    }
    client.close();
    expect(sockets.size).toBe(1);
  });

  test("takes one request at a time, and another when the first one is over", async () => {
    await using daemon = await FakeDaemon.start(({ method, path }) =>
      method === "HEAD" ? { status: 200 } : json({ path }),
    );
    const client = new DaemonClient({ host: daemon.host, socketPath: daemon.socketPath });
    const request = { method: "GET", path: "/holdfast/v1/a" } as const;
    const first = client.json(request);
    await expect(client.json(request)).rejects.toThrow("a request is under way");
    expect(await first).toEqual({ path: request.path });
    const stop = client.lines(request, () => Promise.reject(new Error("enough")));
    await expect(stop).rejects.toThrow("enough");
    expect(await client.json<object>(request)).toEqual({ path: request.path });
    client.close();
  });

  test("steps down to the version that an older daemon offers", async () => {
    await using daemon = await FakeDaemon.start(({ method, path }) => {
      if (method === "HEAD") return { status: 200, headers: { "Api-Version": "1.41" } };
      if (path.startsWith("/v1.41/")) return json({ path });
      return json(
        { message: "client version 1.51 is too new. Maximum supported API version is 1.41" },
        400,
      );
    });
    const client = new DaemonClient({ host: daemon.host, socketPath: daemon.socketPath });
    const reply = await client.json<{ path: string }>({ method: "GET", path: "/volumes" });
    client.close();
    expect(reply.path).toBe("/v1.41/volumes");
    expect(daemon.requests.map(({ method }) => method)).toEqual(["GET", "HEAD", "GET"]);
  });

  test("gives up on a daemon that is silent", async () => {
    await using daemon = await FakeDaemon.start(() => "raw");
    const target = { host: daemon.host, socketPath: daemon.socketPath };
    const client = new DaemonClient(target, { silenceMs: 50 });
    const failure = client.send({ method: "GET", path: "/volumes" });
    await expect(failure).rejects.toThrow(DaemonUnreachable);
    await expect(failure).rejects.toThrow(/has not answered/);
  });

  test("is not patient with a daemon that is hung before it is asked", async () => {
    await using daemon = await FakeDaemon.start(() => "raw");
    const target = { host: daemon.host, socketPath: daemon.socketPath };
    const client = new DaemonClient(target, { silenceMs: 50 });
    const path = "/holdfast/v1/long";
    const request = { method: "POST", path, silenceMs: 2_000 } as const;
    await expect(client.send(request)).rejects.toThrow(DaemonUnreachable);
    const lines = client.lines(request, async () => undefined);
    await expect(lines).rejects.toThrow(DaemonUnreachable);
    expect(daemon.requests.map(({ path }) => path)).toEqual(["/_ping", "/_ping"]);
  });

  test("a request after one that found nobody is one of its own", async () => {
    const client = new DaemonClient({ host: "unix:///nowhere/s", socketPath: "/nowhere/s" });
    for (let count = 0; count < 2; count += 1) {
      const failure = client.send({ method: "GET", path: "/holdfast/v1/locks" });
      await expect(failure).rejects.toThrow(DaemonUnreachable);
    }
  });

  test("a request may bring its own limit of silence", async () => {
    await using daemon = await FakeDaemon.start(() => "raw");
    const target = { host: daemon.host, socketPath: daemon.socketPath };
    const client = new DaemonClient(target, { silenceMs: measuringSilenceMs });
    const failure = client.send({ method: "POST", path: "/volumes/prune", silenceMs: 50 });
    await expect(failure).rejects.toThrow(DaemonUnreachable);
  });

  test("gives up on lines that do not begin, and not on lines that come late", async () => {
    await using daemon = await FakeDaemon.start(({ path }, socket) => {
      if (path !== "/holdfast/v1/late") return "raw";
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      setTimeout(() => socket.write("2\r\n1\n\r\n0\r\n\r\n"), 200);
      return "raw";
    });
    const target = { host: daemon.host, socketPath: daemon.socketPath };
    const client = new DaemonClient(target, { silenceMs: 50 });
    const lines: string[] = [];
    const take = async (line: string) => void lines.push(line);
    await client.lines({ method: "POST", path: "/holdfast/v1/late" }, take);
    expect(lines).toEqual(["1"]);
    const never = client.lines({ method: "POST", path: "/holdfast/v1/never" }, take);
    await expect(never).rejects.toThrow(DaemonUnreachable);
  });

  test("gives up on a daemon that stops in the middle, and not on a slow one", async () => {
    await using daemon = await FakeDaemon.start((_, socket) => {
      const pieces = ["HTTP/1.1 200 OK\r\n", "Content-Length: 9\r\n\r\n", "1", "2", "3"];
      const timer = setInterval(() => {
        const piece = pieces.shift();
        if (piece === undefined) clearInterval(timer);
        else socket.write(piece);
      }, 40);
      return "raw";
    });
    const target = { host: daemon.host, socketPath: daemon.socketPath };
    const client = new DaemonClient(target, { silenceMs: 150 });
    const startMs = performance.now();
    await expect(client.send({ method: "GET", path: "/x" })).rejects.toThrow(/has not answered/);
    expect(performance.now() - startMs).toBeGreaterThan(5 * 40 + 140);
  });

  test.each([
    ["hangs up before the answer", ""],
    ["hangs up in the head", "HTTP/1.1 200 OK\r\nCont"],
    ["hangs up in the body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"],
  ])("says so when the daemon %s", async (_, text) => {
    await using daemon = await FakeDaemon.start((_request, socket) => {
      socket.end(text);
      return "raw";
    });
    const { stdout, stderr, exit } = await runWords(["volume", "ls"], daemon.host);
    expect(stdout).toBe("");
    expect(stderr).toContain("ended before its answer");
    expect(exit).toBe(1);
  });

  test("says so when something else listens there", async () => {
    await using daemon = await FakeDaemon.start((_request, socket) => {
      socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n");
      return "raw";
    });
    const { stderr, exit } = await runWords(["volume", "ls"], daemon.host);
    expect(stderr).toContain("does not speak HTTP");
    expect(exit).toBe(1);
  });

  test("names the way out when there is no daemon", async () => {
    const host = "unix:///nonexistent/holdfast.sock";
    const { stdout, stderr, exit } = await runWords(["volume", "rm", "a", "b"], host);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      `Cannot connect to the Holdfast daemon at ${host}. Is it running? ` +
        "Start it with: holdfast daemon\n",
    );
    expect(exit).toBe(1);
  });

  test("shows what a daemon says that does not speak JSON", async () => {
    await using daemon = await FakeDaemon.start(() => ({ status: 502, body: "bad gateway\n" }));
    const client = new DaemonClient({ host: daemon.host, socketPath: daemon.socketPath });
    const failure = client.send({ method: "GET", path: "/volumes" });
    await expect(failure).rejects.toThrow(DaemonRefusal);
    await expect(failure).rejects.toThrow("Error response from daemon: bad gateway");
    client.close();
  });

  test.each(["lock ls", "volume conflicts wiki"])(
    "says of a daemon that has no route for `%s` that it is older, and what to do",
    async (line) => {
      const answer = { code: "request.no_route", message: "no such route", recovery: "Look." };
      await using daemon = await FakeDaemon.start(() => json(answer, 404));
      const { stderr, exit } = await runWords(line.split(" "), daemon.host);
      expect(stderr).toStartWith("Error response from daemon: it is older than this program, and ");
      expect(stderr).toContain("knows no ");
      expect(stderr).toEndWith(
        "\nStart the daemon anew with the newer executable: systemctl restart holdfast\n",
      );
      expect(exit).toBe(3);
    },
  );

  test("reads a list of 20,000 volumes", async () => {
    const volumes = Array.from({ length: 20_000 }, (_, index) => ({
      Name: `v${index}`,
      Driver: "local",
    }));
    await using daemon = await FakeDaemon.start(() =>
      json({ Volumes: volumes.toReversed(), Warnings: null }),
    );
    const { stdout } = await runWords(["volume", "ls", "-q"], daemon.host);
    expect(stdout).toBe(volumes.map(({ Name }) => `${Name}\n`).join(""));
  });

  test("prints events as they come and ends with the daemon", async () => {
    const event = (name: string): string =>
      `{"Type":"volume","Action":"create",` +
      `"Actor":{"ID":"${name}","Attributes":{"driver":"local"}},"scope":"local",` +
      `"time":1763800000,"timeNano":1763800000123456789}\n`;
    await using daemon = await FakeDaemon.start(({ method }, socket) => {
      if (method === "HEAD") return { status: 200, headers: { "Api-Version": "1.51" } };
      const text = event("é1") + event("v2");
      const bytes = new TextEncoder().encode(text);
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      // Cut in the middle of a character and of a line.
      const at = new TextEncoder().encode(text.slice(0, text.indexOf("é"))).length + 1;
      for (const piece of [bytes.slice(0, at), bytes.slice(at)]) {
        socket.write(`${piece.length.toString(16)}\r\n`);
        socket.write(piece);
        socket.write("\r\n");
      }
      socket.write("0\r\n\r\n");
      return "raw";
    });
    const { stdout, exit } = await runWords(["events", "--since", "10m"], daemon.host);
    expect(stdout).toBe(
      "2025-11-22T08:26:40.123456789Z volume create é1 (driver=local)\n" +
        "2025-11-22T08:26:40.123456789Z volume create v2 (driver=local)\n",
    );
    expect(exit).toBe(0);
    expect(daemon.requests.at(-1)?.path).toBe("/v1.51/events?since=1795348200");
  });

  test("reports a refused stream", async () => {
    await using daemon = await FakeDaemon.start(() => json({ message: "invalid filter 'x'" }, 400));
    const { stderr, exit } = await runWords(["events", "--filter", "x=y"], daemon.host);
    expect(stderr).toBe("Error response from daemon: invalid filter 'x'\n");
    expect(exit).toBe(1);
  });

  test("sends a body that is larger than the socket takes at once", async () => {
    await using daemon = await FakeDaemon.start(({ body }) => json({ Name: String(body.length) }));
    const label = `big=${"x".repeat(3_000_000)}`;
    const { stdout } = await runWords(["volume", "create", "--label", label, "v"], daemon.host);
    expect(Number(stdout)).toBeGreaterThan(3_000_000);
  });
});

test("versions are compared by their numbers", () => {
  expect(compareVersions("1.9", "1.10")).toBeLessThan(0);
  expect(compareVersions("1.41", "1.41")).toBe(0);
  expect(compareVersions("2", "1.51")).toBeGreaterThan(0);
});
