// The bench of the plugin checks: a plugin's raw calls, and names of its own.
//
// It may stand on a plugin that is in use: every name begins with `holdfast-verify-` and 16 random
// hex digits, and nothing else is ever created, mounted or removed. The checks speak the protocol
// themselves: what they ask for must reach the plugin as it is, and its answer come back as it is.
import { fail } from "node:assert/strict";
import { NAME_BYTES_MAX } from "../core/names.ts";
import { type BenchFiles, benchNamePrefix } from "./driver-bench.ts";

/** An answer as the plugin gave it. */
export interface PluginReply {
  readonly status: number;
  readonly body: string;
}

export interface PluginRequest {
  /** `VolumeDriver.Get` */
  readonly method: string;
  /** The bytes to send, as text. */
  readonly body: string;
  /** Docker sends none. */
  readonly contentType?: string | undefined;
}

/** Rejects where there is no answer that is HTTP. Has a deadline of its own. */
export type CallPlugin = (request: PluginRequest) => Promise<PluginReply>;

export interface PluginBenchParts {
  readonly call: CallPlugin;
  /** Access to what the plugin mounts; undefined: its paths are not those of the caller. */
  readonly files?: BenchFiles | undefined;
  /** Options that `Create` accepts. */
  readonly options: Readonly<Record<string, string>>;
  /** `bytes` random bytes as lower-case hex. */
  randomHex(bytes: number): string;
  /** Is told what could not be removed, in words for a person. */
  readonly leftBehind?: ((what: string) => void) | undefined;
}

/** What an answer says, whatever its status. */
export interface PluginAnswer extends PluginReply {
  /** undefined: the body is no JSON object. */
  readonly object: Readonly<Record<string, unknown>> | undefined;
  /** Why the call failed; undefined: it succeeded. */
  readonly error: string | undefined;
}

export interface PluginBench extends AsyncDisposable {
  readonly options: Readonly<Record<string, string>>;
  readonly files: BenchFiles | undefined;
  /** Two IDs as Docker makes them; a check uses no others. */
  readonly ids: { readonly first: string; readonly second: string };
  /** The bench's own volume name with this label; the same for the same label. */
  name(label: string): string;
  /** A name of the greatest length allowed. */
  longestName(): string;
  send(request: PluginRequest): Promise<PluginAnswer>;
  /** Calls `VolumeDriver.<method>`. */
  call(method: string, body?: Readonly<Record<string, unknown>>): Promise<PluginAnswer>;
  /** As `call`, and breaks the promise where the plugin refuses. */
  succeed(method: string, body?: Readonly<Record<string, unknown>>): Promise<PluginObject>;
}

export type PluginObject = Readonly<Record<string, unknown>>;

/** Opens a bench with a fresh random part in its names. Disposing of it removes what it made. */
export function openPluginBench(parts: PluginBenchParts): PluginBench {
  const prefix = `${benchNamePrefix}${parts.randomHex(8)}-`;
  const names = new Set<string>();
  const own = (name: string): string => {
    names.add(name);
    return name;
  };
  const bench: PluginBench = {
    options: parts.options,
    files: parts.files,
    ids: { first: parts.randomHex(32), second: parts.randomHex(32) },
    name: (label) => own(`${prefix}${label}`),
    longestName: () => own(`${prefix}long`.padEnd(NAME_BYTES_MAX, "x")),
    send: async (request) => readReply(await parts.call(request)),
    call: (method, body = {}) =>
      bench.send({ method: `VolumeDriver.${method}`, body: `${JSON.stringify(body)}\n` }),
    async succeed(method, body) {
      const { error, object } = await bench.call(method, body);
      if (error !== undefined) fail(`${method} must succeed, but it fails: ${error}`);
      return object ?? fail(`${method} answers no JSON object`);
    },
    async [Symbol.asyncDispose]() {
      for (const name of names) {
        const reason = await removeVolume(bench, name);
        if (reason !== undefined) parts.leftBehind?.(`volume ${name}: ${reason}`);
      }
    },
  };
  return bench;
}

function readReply(reply: PluginReply): PluginAnswer {
  const object = parseObject(reply.body);
  const told = object?.["Err"];
  const hasText = typeof told === "string" && told !== "";
  if (hasText) return { ...reply, object, error: told };
  const error = reply.status === 200 ? undefined : reply.body.trim() || `status ${reply.status}`;
  return { ...reply, object, error };
}

function parseObject(text: string): PluginObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    // Just looked: a record.
    return isObject ? (value as PluginObject) : undefined;
  } catch {
    return undefined;
  }
}

/** Tries every way there is: the plugin under test may be broken, so none is relied on. */
async function removeVolume(bench: PluginBench, name: string): Promise<string | undefined> {
  try {
    if ((await found(bench, name)) === undefined) return undefined;
    for (const id of Object.values(bench.ids)) {
      await bench.call("Unmount", { Name: name, ID: id });
    }
    const { error } = await bench.call("Remove", { Name: name });
    if ((await found(bench, name)) === undefined) return undefined;
    return error ?? "it is still there";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What `Get` tells of a volume; undefined: it denies it. */
export async function found(bench: PluginBench, name: string): Promise<PluginObject | undefined> {
  const { error, object } = await bench.call("Get", { Name: name });
  const volume = object?.["Volume"];
  if (error !== undefined || typeof volume !== "object" || volume === null) return undefined;
  // Just looked: a record.
  return volume as PluginObject;
}
