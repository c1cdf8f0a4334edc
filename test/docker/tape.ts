// A server that answers with a recording: the replay is tested against it, without any engine.
import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { temporaryDirectory } from "../support/daemon.ts";
import { recordedRoot } from "./comparable.ts";
import type { Exchange, RecordedAnswer } from "./recordings.ts";
import type { Target } from "./replay.ts";

/** Plays the recorded answers in order, one a connection; what the replay does by hand succeeds. */
export async function playTape(exchanges: readonly Exchange[]): Promise<Target & AsyncDisposable> {
  const folder = temporaryDirectory();
  const socketPath = join(folder, "tape.sock");
  const rest = [...exchanges];
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes) => reply(socket, bytes.toString("utf8"), rest));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    root: recordedRoot,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const doneByHand = { headers: new Map<string, string>(), body: "" };

function reply(socket: Socket, text: string, rest: Exchange[]): void {
  const [requestLine = ""] = text.split(" HTTP/1.1");
  if (requestLine === "POST /volumes/create") {
    write(socket, { ...doneByHand, status: 201, reason: "Created" });
  } else if (requestLine.startsWith("DELETE /volumes/")) {
    write(socket, { ...doneByHand, status: 204, reason: "No Content" });
  } else {
    const next = rest.findIndex(
      ({ request }) => `${request.method} ${request.path}` === requestLine,
    );
    const [exchange] = next < 0 ? [] : rest.splice(next, 1);
    if (exchange === undefined) socket.destroy();
    else write(socket, exchange.answer);
  }
}

function write(socket: Socket, answer: RecordedAnswer): void {
  const body = Buffer.from(answer.body);
  const headers = new Map(answer.headers);
  headers.delete("transfer-encoding");
  // Engine directories were shortened in the recordings, so the recorded lengths are not these.
  if (answer.status !== 204) headers.set("content-length", String(body.length));
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(
    Buffer.concat([
      Buffer.from(`HTTP/1.1 ${answer.status} ${answer.reason}\r\n${lines}\r\n`),
      body,
    ]),
  );
}
