// Single requests to an engine's socket, with the time that each took.

/** One request. */
export interface Call {
  readonly socket: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly body?: object;
}

/** What came back. */
export interface Called {
  /** From sending the request to having read the whole reply, with a connection of its own. */
  readonly ms: number;
  readonly text: string;
}

/** Sends the request and reads the whole reply. Throws unless its status says success. */
export async function called({ socket, method, path, body }: Call): Promise<Called> {
  const sent = body === undefined ? "" : JSON.stringify(body);
  const startedMs = performance.now();
  const reply = await fetch(`http://engine${path}`, {
    unix: socket,
    method,
    keepalive: false,
    headers: { "Content-Type": "application/json" },
    ...(sent === "" ? {} : { body: sent }),
    // Removing a million files takes dockerd longer than a client waits by default.
    timeout: false,
  });
  const text = await reply.text();
  const ms = performance.now() - startedMs;
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
  return { ms, text };
}
