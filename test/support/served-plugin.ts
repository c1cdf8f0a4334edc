// A plugin that is a function, served on a Unix socket as a real one is.
import { asCallPlugin, type PluginCalls } from "./model-plugin.ts";
import { serveOnSocket } from "./socket-server.ts";

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
  return await serveOnSocket(socketPath, ({ path: method, contentType, body }) => {
    const isRefused = refusedType !== undefined && contentType === refusedType;
    return isRefused ? { status: 415, body: "unsupported media type" } : call({ method, body });
  });
}
