// What the looks of `holdfast doctor` are given, and how they look at files and programs.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Finding } from "../core/doctor.ts";
import { isErrno, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";

export interface Machine {
  readonly host: Host;
  readonly userId: number;
  readonly dataRoot: string;
  /** Absolute: the file with the key of the secrets, there or not. */
  readonly secretKey: string;
  /** Absolute paths of sockets: of the API, of the volume driver, of the Docker Engine. */
  readonly sockets: {
    readonly api: string;
    /** undefined: none is wanted. */
    readonly plugin: string | undefined;
    readonly docker: string;
    /** Of locks, for containers; undefined: none that a daemon has told of. */
    readonly locks?: string | undefined;
  };
  /** /proc, /etc and the rest are looked for below it: "" on a machine, a directory in tests. */
  readonly fileRoot: string;
}

/** The operation has the deadline. What is thrown becomes a finding. */
export type Look = (machine: Machine, operation: Operation) => Promise<readonly Finding[]>;

/**
 * A file's text; undefined where none can be read. Only for /proc, /etc and their like: a file on
 * storage that does not answer would stop us.
 */
export function textOf({ fileRoot }: Machine, file: string): string | undefined {
  try {
    return readFileSync(path.join(fileRoot, file), "utf8");
  } catch {
    return undefined;
  }
}

/**
 * How a program answers: the first line that names it, else the first; null where it is not
 * installed.
 */
export async function firstLineOf(
  { host }: Machine,
  words: readonly [program: string, ...args: string[]],
  operation: Operation,
): Promise<string | null> {
  const [program, ...args] = words;
  try {
    const { stdout, stderr } = await host.run(program, args, operation);
    const lines = `${stdout}\n${stderr}`.split("\n").map((line) => line.trim());
    const named = lines.find((line) => line.toLowerCase().includes(program));
    return named ?? lines.find((line) => line !== "") ?? "";
  } catch (error) {
    if (toEngineError(error).code === "host.program_missing") return null;
    throw error;
  }
}

/** "no such file or directory" for ENOENT, and the like: what a person reads of a failure. */
export function reasonOf(error: unknown): string {
  if (isErrno(error, "ENOENT")) return "it is not there";
  return error instanceof Error ? error.message : String(error);
}
