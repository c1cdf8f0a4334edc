// Whether a server answers at all: its name resolves, and its port takes a connection.
import { lookup } from "node:dns/promises";
import net from "node:net";
import { EngineError, messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { ServerAddress } from "./kind.ts";
import { orAborted, within } from "./limited.ts";

/** How long each of the two may take, in milliseconds. */
const RESOLVE_MS_MAX = 5_000;
const CONNECT_MS_MAX = 5_000;

/** The numeric addresses of a host. Throws `remote.unreachable` with `details.step` "resolve". */
export async function resolveHost(host: string, operation: Operation): Promise<string> {
  if (net.isIP(host) !== 0) return host;
  const what = `the look-up of ${host}`;
  try {
    const found = await within({ limitMs: RESOLVE_MS_MAX, what }, operation, ({ signal }) =>
      orAborted(lookup(host), signal),
    );
    return found.address;
  } catch (thrown) {
    operation.signal.throwIfAborted();
    throw unreachable("resolve", `the name ${host} cannot be resolved: ${messageOf(thrown)}`);
  }
}

/**
 * Connects and hangs up. Throws `remote.unreachable` with `details.step` "resolve" or "connect".
 * Returns how long it took, in milliseconds.
 */
export async function connectTo(
  { host, port }: ServerAddress,
  operation: Operation,
  monotonicMs: () => number,
): Promise<number> {
  const startedAtMs = monotonicMs();
  const address = await resolveHost(host, operation);
  const what = `the connection to ${where(host, port)}`;
  try {
    await within({ limitMs: CONNECT_MS_MAX, what }, operation, ({ signal }) =>
      knock(address, port, signal),
    );
  } catch (thrown) {
    operation.signal.throwIfAborted();
    throw unreachable("connect", `no connection to ${where(host, port)}: ${messageOf(thrown)}`);
  }
  return monotonicMs() - startedAtMs;
}

function knock(host: string, port: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = net.connect({ host, port });
  const onAbort = () => socket.destroy(new Error("nothing answers"));
  socket.once("connect", () => {
    socket.destroy();
    resolve();
  });
  socket.once("error", reject);
  socket.once("close", () => reject(new Error("it was closed")));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}

function where(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function unreachable(step: "resolve" | "connect", message: string): EngineError {
  return new EngineError("remote.unreachable", message, { details: { step } });
}
