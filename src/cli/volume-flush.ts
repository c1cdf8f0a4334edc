// `holdfast volume flush`: waits until what was written is on the storage, and says what is left.
import type { Invocation } from "./command.ts";
import { exitOfKind } from "./exit-codes.ts";
import { CliFailure } from "./failure.ts";
import { humanSize } from "./human.ts";
import { asOwn, badWords, ownPath } from "./own-client.ts";

/** A line of the daemon's answer. */
interface FlushLine {
  readonly files?: number;
  readonly bytes?: number;
  /** Of the storage, as it was last known; undefined: there is nothing to know. */
  readonly state?: string;
  readonly reason?: string | null;
  readonly error?: string;
}

export async function flushVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  const isJson = options.flag("json");
  const limit = timeLimit(options.text("timeout"));
  const show = isJson ? undefined : shownLines(name, invocation);
  let last: FlushLine = {};
  const path = ownPath(["volumes", name, "flush"]);
  const work = client.lines({ method: "POST", path }, async (line) => {
    // The daemon is trusted to keep the shape of its API.
    const said = JSON.parse(line) as FlushLine;
    if (said.error !== undefined) throw new CliFailure(said.error);
    last = said;
    if (show === undefined) await terminal.out(`${line.trim()}\n`);
    else await show.line(said);
  });
  try {
    if (!(await limit.isWithin(work))) throw tooLate(name, last, limit.seconds);
  } catch (error) {
    throw asOwn(error);
  } finally {
    await show?.end();
  }
  if (!isJson) await terminal.out(`${name}\n`);
  return 0;
}

interface Shown {
  line(line: FlushLine): Promise<void>;
  end(): Promise<void>;
}

/** What is left, in one line of a terminal; and what is wrong with the storage, to everybody. */
function shownLines(name: string, { terminal }: Pick<Invocation, "terminal">): Shown {
  let said = "";
  let trouble = "";
  const clear = async () => {
    if (said !== "") await terminal.err(inPlace(""));
    said = "";
  };
  return {
    end: clear,
    async line({ files = 0, bytes = 0, state = "ready", reason }) {
      const isWaiting = files > 0;
      const condition = state === "ready" ? "" : `${state}${reason ? ` (${reason})` : ""}`;
      // It comes several times a second, for as long as the server is away.
      if (isWaiting && condition !== trouble) {
        await clear();
        const text = condition === "" ? "its storage answers again" : `its storage is ${condition}`;
        await terminal.err(`${name}: ${text}\n`);
        trouble = condition;
      }
      if (!isWaiting || !(await terminal.isErrTerminal())) return;
      const text = `${name}: ${leftText({ files, bytes })} …`;
      if (text !== said) await terminal.err(inPlace(text));
      said = text;
    },
  };
}

interface Limit {
  readonly seconds: number;
  /** False: the time was over first. */
  isWithin(work: Promise<unknown>): Promise<boolean>;
}

function timeLimit(text: string | undefined): Limit {
  if (text !== undefined && !/^\d{1,6}$/.test(text)) {
    throw badWords(`--timeout is whole seconds: ${text}`);
  }
  const seconds = text === undefined ? Number.POSITIVE_INFINITY : Number(text);
  return {
    seconds,
    async isWithin(work) {
      const done = work.then(() => true);
      if (text === undefined) return await done;
      const { promise: over, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(false), seconds * 1_000);
      return await Promise.race([done, over]).finally(() => clearTimeout(timer));
    },
  };
}

function tooLate(
  name: string,
  { files = 0, bytes = 0, state = "ready", reason }: FlushLine,
  seconds: number,
): CliFailure {
  const left = files === 0 ? "nobody knows what is left" : leftText({ files, bytes });
  const why = state === "ready" ? "" : `; its storage is ${state}${reason ? ` (${reason})` : ""}`;
  const text = `flush ${name}: after ${seconds} seconds ${left}${why}`;
  return new CliFailure(text, exitOfKind.conflict, {
    code: "remote.unsaved",
    recovery: "It goes on being written: wait for it once more, without --timeout.",
  });
}

function leftText({ files, bytes }: { readonly files: number; readonly bytes: number }): string {
  const what = files === 1 ? "1 file" : `${files} files`;
  return `${what} (${humanSize(bytes)}) not on the server yet`;
}

/** Over what the line says now. */
function inPlace(text: string): string {
  return `\r\x1b[K${text}`;
}
