// What kinds have in common whose file systems the kernel has itself: mounted by mount(8), which
// says in words of its own why it failed.
import type { ErrorCode } from "../core/error-table.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Operation } from "../core/operation.ts";
import { saidBy } from "../core/printable.ts";
import { optionInvalid } from "./options.ts";

/** What a program's words mean. The first that matches counts. */
export type FailureWords = readonly (readonly [words: RegExp, code: ErrorCode])[];

export interface KernelMount {
  readonly type: string;
  readonly device: string;
  readonly target: string;
  readonly options: readonly string[];
  /** Words of mount.<type>(8). */
  readonly failures: FailureWords;
  /** Left out of what it says. */
  readonly noise?: RegExp | undefined;
}

/** Mounts; what the program says is thrown as `remote.*` where it is known what it means. */
export async function kernelMount(
  host: Pick<Host, "mount">,
  { type, device, target, options, failures, noise }: KernelMount,
  operation: Operation,
): Promise<void> {
  try {
    await host.mount({ type, device, target, options: options.join(",") }, operation);
  } catch (thrown) {
    const error = toEngineError(thrown);
    if (error.code !== "volume.mount_failed") throw error;
    const said = String(error.details["words"] ?? error.message);
    const told = noise === undefined ? said : said.replace(noise, "").replace(/[;\s]+$/, "");
    const words = saidBy(told);
    const [, code] = failures.find(([pattern]) => pattern.test(words)) ?? [];
    throw new EngineError(code ?? error.code, `mount of ${device}: ${words}`, {
      cause: error,
      details: { ...error.details, words },
    });
  }
}

/** Ends such a mount: in order, or lazily when nothing will answer again. */
export async function kernelUnmount(
  host: Pick<Host, "unmount" | "detach">,
  target: string,
  { isLost }: { readonly isLost: boolean },
  operation: Operation,
): Promise<void> {
  if (isLost) await host.detach(target, operation);
  else await host.unmount(target, operation);
}

/**
 * Further words for mount(8), as people have them in their fstab. Only those that are known to be
 * harmless pass: others might carry a password, or undo what other options say. Throws
 * `volume.option_invalid`.
 */
export function readFurtherWords(
  text: string | undefined,
  allowed: ReadonlySet<string>,
): readonly string[] {
  if (text === undefined) return [];
  const words = text.split(",");
  for (const word of words) {
    const [name = ""] = word.split("=");
    if (allowed.has(name) && /^[\x21-\x7e]+$/.test(word)) continue;
    const known = [...allowed].toSorted();
    // Of a word that is not known only its name is said: its value may be a password.
    const words = `the word "${name}" is not among ${known.join(", ")}`;
    throw optionInvalid("options", `invalid option: "options": ${words}`, { known });
  }
  return words;
}

/** A host's name or address as an option has it: brackets of IPv6 may be there or not. */
export const hostRule = {
  words: "a host name, an IPv4 or an IPv6 address",
  accepts: (value: string): boolean =>
    /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?$/.test(value) ||
    /^\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?\]?$/.test(value),
};

/** Without brackets. */
export function plainHost(value: string): string {
  return value.replace(/^\[|\]$/g, "");
}
