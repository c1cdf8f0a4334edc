// Calls one plugin: in time, within bounds, each request sent at most once.
import { EngineError, toEngineError } from "../../core/errors.ts";
import type { Operation } from "../../core/operation.ts";
import { connectTo, hostHeader, type PluginAddress } from "./address.ts";
import { badAnswer, type HttpAnswer } from "./answer-reader.ts";
import { exchange, requestText } from "./exchange.ts";
import { type JsonObject, parseObject, textField } from "./fields.ts";
import { KeptConnections } from "./kept-connections.ts";
import { type ListedVolume, readList } from "./list-answer.ts";
import { type PluginMethod, pluginMethods } from "./methods.ts";
import { Places } from "./places.ts";

/** Calls of one plugin under way at once; further ones wait for their turn. */
export const PLUGIN_CALLS_MAX = 64;
/** Lists are the only answers that are long: one at a time, for the sake of memory. */
const LISTS_MAX = 1;
/** How often it is tried to connect, and the pauses between, in milliseconds. */
const CONNECT_PAUSES_MS = [40, 120];
/** Nobody listens there, or too many wait already: nothing has been sent. */
const notSentCodes = ["ENOENT", "ECONNREFUSED", "EAGAIN"];
/** How much of a plugin's text goes into a message. */
const WORDS_CHARACTERS_MAX = 4_096;

export interface PluginClientParts {
  /** The plugin's, for messages. */
  readonly name: string;
  /** Replaces times of `pluginMethods`, in milliseconds. */
  readonly timeoutsMs?: Readonly<Partial<Record<PluginMethod, number>>> | undefined;
}

export interface PluginCall {
  readonly address: PluginAddress;
  readonly method: PluginMethod;
  /** Sent as JSON; undefined: the body is empty. */
  readonly body: JsonObject | undefined;
}

interface Attempt {
  readonly method: PluginMethod;
  readonly wasSent: boolean;
}

/**
 * Throws `plugin.unreachable` when it does not answer (`details.wasSent` says whether the request
 * may have arrived), `plugin.failed` with the plugin's own words, or with what is wrong with its
 * answer, and the reason of the operation's signal.
 */
export class PluginClient {
  readonly #parts: PluginClientParts;
  readonly #calls = new Places(PLUGIN_CALLS_MAX);
  readonly #lists = new Places(LISTS_MAX);
  readonly #kept = new KeptConnections();

  constructor(parts: PluginClientParts) {
    this.#parts = parts;
  }

  /** Another process listens from now on, or nobody. */
  forget(): void {
    this.#kept.forget();
  }

  /** What `read` makes of the answer's object. An `Err` in it is thrown before. */
  async call<T>(
    call: PluginCall,
    read: (answer: JsonObject) => T,
    operation: Operation,
  ): Promise<T> {
    return await this.#inTime(
      call,
      (body) => read(this.#sound(call, parseAnswer(body))),
      operation,
    );
  }

  /** The call `VolumeDriver.List`. */
  async list(address: PluginAddress, operation: Operation): Promise<readonly ListedVolume[]> {
    const call = { address, method: "VolumeDriver.List", body: {} } as const;
    const read = async (body: Uint8Array) => this.#sound(call, await readList(body)).volumes;
    return await this.#inTime(call, read, operation);
  }

  /** Throws what the plugin says as its error. */
  #sound<T extends JsonObject>({ method }: PluginCall, answer: T): T {
    const words = textField(answer, "Err");
    if (words === "") return answer;
    throw this.#failed(method, words, words);
  }

  async #inTime<T>(
    call: PluginCall,
    read: (body: Uint8Array) => T | Promise<T>,
    operation: Operation,
  ): Promise<T> {
    const { method } = call;
    const timeoutMs = this.#parts.timeoutsMs?.[method] ?? pluginMethods[method].timeoutMs;
    const isList = method === "VolumeDriver.List";
    const limit = new Limit(timeoutMs, operation.signal, (wasSent) =>
      this.#late({ method, wasSent }, timeoutMs),
    );
    try {
      limit.signal.throwIfAborted();
      using _place = await this.#calls.take(limit.signal);
      using _list = isList ? await this.#lists.take(limit.signal) : undefined;
      return await read(bodyOf(await this.#exchange(call, limit)));
    } catch (error) {
      throw this.#explained(call, error);
    } finally {
      limit.end();
    }
  }

  async #exchange({ address, method, body }: PluginCall, limit: Limit): Promise<HttpAnswer> {
    const { signal } = limit;
    const { answerBytesMax } = pluginMethods[method];
    const text = requestText({ method, host: hostHeader(address), body: bodyText(body) });
    const socket = this.#kept.take(address) ?? (await connectPatiently(address, signal));
    limit.wasSent = true;
    try {
      const { answer, isOpen } = await exchange(socket, text, { answerBytesMax, signal });
      if (isOpen) this.#kept.give(address, socket);
      return answer;
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw this.#unreachable(`${method}: ${wordsOf(error)}`, { method, wasSent: true }, error);
    }
  }

  #late(attempt: Attempt, timeoutMs: number): EngineError {
    return this.#unreachable(`${attempt.method} took longer than ${timeoutMs} ms`, attempt);
  }

  #unreachable(words: string, details: Attempt, cause?: unknown): EngineError {
    const { name: plugin } = this.#parts;
    return new EngineError("plugin.unreachable", `plugin ${plugin} does not answer: ${words}`, {
      details: { plugin, words, ...details },
      cause,
    });
  }

  #failed(method: PluginMethod, message: string, words: string): EngineError {
    const { name: plugin } = this.#parts;
    return new EngineError("plugin.failed", cut(message), {
      details: { plugin, method, words: cut(words) },
    });
  }

  /** What was thrown below knows neither the plugin nor the call. */
  #explained({ method, address }: PluginCall, error: unknown): EngineError {
    if (!(error instanceof EngineError)) {
      const place = address.kind === "unix" ? address.path : hostHeader(address);
      // The usual reason stands in columns of tables, beside a name that says where.
      const isRefused = codeOf(error) === "ECONNREFUSED";
      const words = isRefused ? "connection refused" : `connect to ${place}: ${wordsOf(error)}`;
      return this.#unreachable(words, { method, wasSent: false }, error);
    }
    if (error.code !== "plugin.failed" || error.details["plugin"] !== undefined) return error;
    const words = String(error.details["words"] ?? "");
    return this.#failed(method, `${method}: ${words}`, words);
  }
}

/** The time that a call has, and its caller's patience, as one signal. */
class Limit {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #abort: () => void;
  wasSent = false;

  constructor(timeoutMs: number, outer: AbortSignal, late: (wasSent: boolean) => EngineError) {
    this.#outer = outer;
    this.#abort = () => this.#controller.abort(outer.reason);
    this.#timer = setTimeout(() => this.#controller.abort(late(this.wasSent)), timeoutMs);
    outer.addEventListener("abort", this.#abort, { once: true });
    if (outer.aborted) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#abort);
  }
}

/** A plugin that is just being started may need a moment; it has not seen anything of us then. */
async function connectPatiently(address: PluginAddress, signal: AbortSignal) {
  for (const pauseMs of CONNECT_PAUSES_MS) {
    try {
      return await connectTo(address, signal);
    } catch (error) {
      if (!notSentCodes.includes(codeOf(error))) throw error;
      await pause(pauseMs, signal);
    }
  }
  return await connectTo(address, signal);
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, durationMs);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
  signal.throwIfAborted();
}

/** Throws `plugin.failed` for any status but 200, in Docker's words: the call, then the text. */
function bodyOf({ status, body }: HttpAnswer): Uint8Array {
  if (status === 200) return body;
  const text = textOf(body.subarray(0, WORDS_CHARACTERS_MAX * 4)).trimEnd();
  const words = errIn(text) ?? (text === "" ? `status ${status}` : text);
  throw badAnswer(words);
}

function errIn(text: string): string | undefined {
  try {
    const words = textField(parseObject(text), "Err");
    return words === "" ? undefined : words;
  } catch {
    // Any text will do.
    return undefined;
  }
}

/** As Go's encoder: an ending newline, keys in order, and `<`, `>`, `&` for HTML. */
function bodyText(body: JsonObject | undefined): string {
  if (body === undefined) return "";
  const text = JSON.stringify(body).replace(
    /[<>&\u2028\u2029]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${text}\n`;
}

function parseAnswer(body: Uint8Array): JsonObject {
  return parseObject(textOf(body));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

function cut(text: string): string {
  return text.length <= WORDS_CHARACTERS_MAX ? text : `${text.slice(0, WORDS_CHARACTERS_MAX)}…`;
}

function wordsOf(error: unknown): string {
  const { message } = toEngineError(error);
  const code = codeOf(error);
  return code === "" || message.includes(code) ? message : `${code}: ${message}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
