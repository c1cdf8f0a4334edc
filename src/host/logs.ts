// Structured logs: JSON lines for machines, plain lines on a terminal. Never waits for a reader.
import { isatty } from "node:tty";
import { destination, pino } from "pino";
import { EngineError } from "../core/errors.ts";
import type { Log, LogFields } from "../core/operation.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LoggerOptions {
  /** What is less important is not written. */
  readonly level: LogLevel;
  /** Where to write. Default: 2, stderr. */
  readonly descriptor?: number;
  /** Default: "text" on a terminal, otherwise "json". */
  readonly format?: "json" | "text";
}

export interface Logger {
  /** A log whose every line carries these fields: one per operation. */
  bind(fields: LogFields): Log;
  /** How many lines found no room, because nobody read the others. */
  droppedCount(): number;
  /** Resolves when all is written, or after `FLUSH_TIMEOUT_MS`. Call it before the process ends. */
  flush(): Promise<void>;
}

/** What waits for a reader at most; then lines are dropped and counted. */
const WAITING_BYTES_MAX = 1024 * 1024;
const FLUSH_TIMEOUT_MS = 1_000;
/** Longer values are cut: a log line is not a place for a program's whole output. */
const VALUE_CHARACTERS_MAX = 4 * 1024;

/** See docs/decisions/0004-logging.md for why this is pino. */
export function createLogger(options: LoggerOptions): Logger {
  const descriptor = options.descriptor ?? 2;
  const format = options.format ?? (isatty(descriptor) ? "text" : "json");
  const sink = destination({
    fd: descriptor,
    sync: false,
    maxLength: WAITING_BYTES_MAX,
    // Every line is written at once; with the default, 0, `flush` would not wait.
    minLength: 1,
  });
  // pino calls it when the process exits: it would wait for a reader, with no end.
  sink.flushSync = () => undefined;
  let droppedCount = 0;
  let toldCount = 0;
  sink.on("drop", () => droppedCount++);
  // A stderr that is gone must not end the daemon; there is nowhere left to say so.
  sink.on("error", () => droppedCount++);

  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: printable },
    },
    format === "json" ? sink : { write: (line: string) => void sink.write(plainLine(line)) },
  );
  sink.on("drain", () => {
    if (droppedCount === toldCount) return;
    const lostCount = droppedCount - toldCount;
    toldCount = droppedCount;
    logger.warn({ lostCount }, "log lines were dropped because nobody read them");
  });

  return {
    bind(fields) {
      const bound = logger.child(printable(fields));
      return {
        debug: (message, more) => bound.debug(more ?? {}, clip(message)),
        info: (message, more) => bound.info(more ?? {}, clip(message)),
        warn: (message, more) => bound.warn(more ?? {}, clip(message)),
        error: (message, more) => bound.error(more ?? {}, clip(message)),
      };
    },
    droppedCount: () => droppedCount,
    async flush() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, FLUSH_TIMEOUT_MS);
      sink.flush(() => resolve());
      await promise;
      clearTimeout(timer);
    },
  };
}

/** Errors as data, with their causes; long texts cut. Pino itself bounds depth and width. */
function printable(fields: LogFields): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Error) result[name] = describeError(value, 0);
    else result[name] = typeof value === "string" ? clip(value) : value;
  }
  return result;
}

const CAUSES_MAX = 4;

function describeError(error: Error, depth: number): Record<string, unknown> {
  const code = "code" in error ? error.code : undefined;
  const cause = error.cause instanceof Error && depth < CAUSES_MAX ? error.cause : undefined;
  const isOurs = error instanceof EngineError && error.kind !== "internal";
  return {
    name: error.name,
    ...(code === undefined ? {} : { code }),
    message: clip(error.message),
    ...(error instanceof EngineError ? { details: error.details } : {}),
    // What is foreseen says where it comes from by its code; a bug needs the lines.
    ...(isOurs || depth > 0 ? {} : { stack: clip(error.stack ?? "") }),
    ...(cause === undefined ? {} : { cause: describeError(cause, depth + 1) }),
  };
}

function clip(text: string): string {
  if (text.length <= VALUE_CHARACTERS_MAX) return text;
  return `${text.slice(0, VALUE_CHARACTERS_MAX)}… (${text.length} characters)`;
}

/** `10:20:30.456 warn  message name=value …`: the time of day is enough for who is watching. */
function plainLine(json: string): string {
  // Written by pino two lines above: an object with these three and the caller's fields.
  const { level, time, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const words = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${name}=${/^[^\s"\p{Cc}]+$/u.test(text) ? text : JSON.stringify(value)}`;
  });
  const head = [String(time).slice(11, 23), String(level).padEnd(5), oneLine(String(message))];
  return `${[...head, ...words].join(" ")}\n`;
}

/** A volume's name or a program's words shall not draw on the terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}
