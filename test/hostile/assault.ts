// Sends bad requests over connections of their own, eight at a time, and collects what is wrong.
import { connect } from "node:net";
import type { Random } from "../support/random.ts";
import { faultsOf } from "./answers.ts";
import { type BadRequest, badRequest } from "./bad-request.ts";

const workerCount = 8;
/** A client that has ended its side waits so long for the end of the answers. */
const answerTimeoutMs = 15_000;
/** How much of a request is shown in a complaint. */
const shownCharacters = 300;

/**
 * Sends `count` bad requests; answers one sentence for each that was not answered as documented.
 */
export async function assault(
  socketPath: string,
  random: Random,
  count: number,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const request = badRequest(random);
      const faults = await send(socketPath, request, random.fraction());
      for (const fault of faults) {
        const shown = JSON.stringify(request.bytes.slice(0, shownCharacters));
        complaints.push(`${request.kind}: ${fault}; sent ${shown}`);
      }
    }
  };
  await Promise.all(Array.from({ length: workerCount }, worker));
  return complaints;
}

/** `patience` from 0 to 1: after how much of it a vanishing client is gone. */
function send(
  socketPath: string,
  request: BadRequest,
  patience: number,
): Promise<readonly string[]> {
  const bytes = Buffer.from(request.bytes, "latin1");
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  let received = "";
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    socket.destroy();
  }, answerTimeoutMs);
  socket.on("connect", () => {
    if (request.leave === "finish") socket.end(bytes);
    else
      socket.write(bytes.subarray(0, Math.ceil(bytes.length * patience)), () => socket.destroy());
  });
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
  });
  // The server may refuse and close while it is still being written to.
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.destroy());
  socket.on("close", () => {
    clearTimeout(timer);
    if (isLate) resolve([`no end after ${answerTimeoutMs} ms, only ${received.slice(0, 200)}`]);
    else if (request.leave === "vanish") resolve([]);
    else resolve(faultsOf(received, request.bytes));
  });
  return promise;
}
