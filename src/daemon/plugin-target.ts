// The plugin that `holdfast verify plugin` is asked about: where it listens, and its driver.
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import type { VerifyPluginRequest } from "../cli/verify.ts";
import type { CallPlugin } from "../conformance/plugin-bench.ts";
import { EngineError } from "../core/errors.ts";
import type { ManagedEndpoint } from "../core/plugin.ts";
import { endpointOf } from "../plugins/managed/endpoints.ts";
import { PluginFiles } from "../plugins/managed/files.ts";
import { parseRecord } from "../plugins/managed/record.ts";
import {
  connectTo,
  hostHeader,
  type PluginAddress,
  parsePluginAddress,
} from "../plugins/protocol/address.ts";
import { exchange, requestText } from "../plugins/protocol/exchange.ts";
import { findPlugins, type PluginDirectories } from "../plugins/sockets/find-plugins.ts";

/** How long one raw call may take, and how much it may answer. */
const CALL_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** A path below it is the daemon's own way to a socket with a long name. */
const OWN_WAY = "/proc/self/";

export interface PluginTarget {
  readonly name: string;
  readonly address: PluginAddress;
  /** Where its driver finds it: one of the two. */
  readonly directories: PluginDirectories;
  readonly endpoint: ManagedEndpoint | undefined;
}

/**
 * A managed plugin that runs, a socket that the daemon knows by its name, a plugin that Docker's
 * directories name, or a socket by its path. `scratch` is an
 * empty directory of ours. Throws `plugin.not_found`, `plugin.disabled`, `plugin.unreachable`.
 */
export async function findPluginTarget(
  { plugin, managed }: Pick<VerifyPluginRequest, "plugin" | "managed">,
  { directories, scratch }: { readonly directories: PluginDirectories; readonly scratch: string },
): Promise<PluginTarget> {
  if (managed?.kind === "managed") return managedTarget(managed);
  // The daemon may look elsewhere than Docker does.
  const known = managed?.address?.startsWith(`unix://${OWN_WAY}`) ? undefined : managed?.address;
  if (known?.startsWith("unix:///")) return socketTarget(known.slice("unix://".length), scratch);
  const found = (await findPlugins(directories, [])).get(plugin);
  if (found?.address !== undefined) {
    return { name: plugin, address: found.address, directories, endpoint: undefined };
  }
  if (found !== undefined) throw new EngineError("plugin.unreachable", found.reason);
  if (plugin.includes("/") || plugin.endsWith(".sock")) return socketTarget(plugin, scratch);
  const places = [directories.sockets ?? [], directories.specs].flat().join(", ");
  throw new EngineError(
    "plugin.not_found",
    `plugin ${JSON.stringify(plugin)} not found: no daemon has it, and nothing of that name is ` +
      `in ${places === "" ? "any directory" : places}; a socket is given by its path`,
  );
}

/** One raw request on a connection of its own. */
export function rawCaller(address: PluginAddress): CallPlugin {
  return async ({ method, body, contentType }) => {
    const signal = AbortSignal.timeout(CALL_MS_MAX);
    const socket = await connectTo(address, signal);
    const plain = requestText({ method, host: hostHeader(address), body });
    const typed = `\r\nContent-Type: ${contentType}\r\nAccept:`;
    const text = contentType === undefined ? plain : plain.replace("\r\nAccept:", typed);
    const { answer } = await exchange(socket, text, { answerBytesMax: ANSWER_BYTES_MAX, signal });
    socket.destroy();
    return { status: answer.status, body: Buffer.from(answer.body).toString("utf8") };
  };
}

/** What the daemon says of it, and the plugin's own files. */
function managedTarget(managed: NonNullable<VerifyPluginRequest["managed"]>): PluginTarget {
  const { name, state, reason, address, directory, id } = managed;
  if (state === "disabled") {
    throw new EngineError("plugin.disabled", `plugin ${name} is disabled`);
  }
  const isOthers = address?.startsWith(`unix://${OWN_WAY}`) === true;
  if (address === null || directory === null || id === null || isOthers) {
    const why = isOthers ? "the name of its socket is too long" : (reason ?? state);
    throw new EngineError("plugin.unreachable", `plugin ${name} cannot be reached: ${why}`);
  }
  const parsed = parsePluginAddress(address, undefined);
  const files = new PluginFiles(path.dirname(directory));
  const record = parseRecord(files.read(id), id);
  const running = { state: "running", sinceMs: 0, reason: "", restartCount: 0, life: "1" } as const;
  const socketPath = parsed.kind === "unix" ? parsed.path : "";
  const endpoint = endpointOf(record, { files, sinceMs: 0, state: { ...running, socketPath } });
  const directories = { sockets: undefined, specs: [] };
  return { name, address: parsed, directories, endpoint };
}

/** A directory in which nothing but this socket is found. */
function socketTarget(given: string, scratch: string): PluginTarget {
  const socket = path.resolve(given);
  if (!existsSync(socket)) {
    throw new EngineError("plugin.not_found", `there is no socket ${socket}: no plugin listens`);
  }
  const sockets = path.join(scratch, "sockets");
  mkdirSync(sockets);
  const name = path.basename(socket, ".sock");
  symlinkSync(socket, path.join(sockets, `${name}.sock`));
  return {
    name,
    address: { kind: "unix", path: socket },
    directories: { sockets, specs: [] },
    endpoint: undefined,
  };
}
