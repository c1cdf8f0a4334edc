// An HTTP server on a Unix socket that answers with a function: what plugins in tests are made of.
import { rmSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";

export interface SocketRequest {
  /** Without the slash in front. */
  readonly path: string;
  readonly contentType: string | undefined;
  readonly body: string;
}

export interface SocketReply {
  readonly status: number;
  readonly body: string;
}

/** Listens until it is disposed of; a socket file that is there goes first. */
export async function serveOnSocket(
  socketPath: string,
  answer: (request: SocketRequest) => SocketReply | Promise<SocketReply>,
): Promise<AsyncDisposable> {
  const server = createServer(async (request, response) => {
    const path = (request.url ?? "").slice(1);
    const contentType = request.headers["content-type"];
    const reply = await answer({ path, contentType, body: await bodyOf(request) });
    response.statusCode = reply.status;
    response.end(reply.body);
  });
  rmSync(socketPath, { force: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(socketPath, resolve);
  await promise;
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
