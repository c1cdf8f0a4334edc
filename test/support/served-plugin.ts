// A plugin that is a function, served on a Unix socket as a real one is.
import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { asCallPlugin, type PluginCalls } from "./model-plugin.ts";

/** Answers a request of this content type with an error, as a strict framework would. */
export interface ServedPluginOptions {
  readonly refusedType?: string;
}

/** Listens until it is disposed of. */
export async function servePlugin(
  socketPath: string,
  calls: PluginCalls,
  { refusedType }: ServedPluginOptions = {},
): Promise<AsyncDisposable> {
  const call = asCallPlugin(calls);
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const isRefused = refusedType !== undefined && request.headers["content-type"] === refusedType;
    const method = (request.url ?? "").slice(1);
    const reply = isRefused
      ? { status: 415, body: "unsupported media type" }
      : await call({ method, body });
    response.statusCode = reply.status;
    response.end(reply.body);
  });
  return await listenOn(socketPath, server);
}

/** Serves on a Unix socket until it is disposed of. */
export async function listenOn(socketPath: string, server: Server): Promise<AsyncDisposable> {
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

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
