// Asks an NFS server for a sign of life: the call that does nothing (RFC 5531), which needs no
// rights. A machine whose kernel still takes connections may have a server that answers none.
import net from "node:net";
import { EngineError, messageOf } from "../../core/errors.ts";
import type { ServerAddress } from "../../remote/kind.ts";

const NFS_PROGRAM = 100_003;
const RPC_VERSION = 2;
const LAST_FRAGMENT = 0x8000_0000;
/** From the length of the record to the id of the call that is answered, in bytes. */
const ANSWER_BYTES = 8;

/**
 * Resolves when anything answers the call, be it a refusal. Throws `remote.unreachable`. `id` tells
 * this call from others.
 */
export async function greetNfs(
  { host, port }: ServerAddress,
  { version, id }: { readonly version: number; readonly id: number },
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (words: string) => {
    const message = `the NFS server at ${host} port ${port} does not answer: ${words}`;
    reject(new EngineError("remote.unreachable", message));
  };
  const socket = net.connect({ host, port });
  const onAbort = () => fail("its time is over");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  let answer = Buffer.alloc(0);
  socket.on("connect", () => socket.write(nullCall(version, id)));
  socket.on("data", (chunk: Buffer) => {
    answer = Buffer.concat([answer, chunk]);
    if (answer.length < ANSWER_BYTES) return;
    if (answer.readUInt32BE(4) === id) resolve();
    else fail("what it says answers another call");
  });
  socket.on("error", (error) => fail(messageOf(error)));
  socket.on("close", () => fail("it hung up"));
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

/** NULL of NFS, with no credentials, as one record. */
function nullCall(version: number, id: number): Buffer {
  const words = [id, 0, RPC_VERSION, NFS_PROGRAM, version, 0, 0, 0, 0, 0];
  const record = Buffer.alloc(4 + words.length * 4);
  record.writeUInt32BE(LAST_FRAGMENT + words.length * 4, 0);
  for (const [index, word] of words.entries()) record.writeUInt32BE(word, 4 + index * 4);
  return record;
}
