// `holdfast volume flush`: waits until what was written is on the storage, and says what is left.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { humanSize } from "./human.ts";
import { asOwn, ownPath } from "./own-client.ts";

/** A line of the daemon's answer. */
interface FlushLine {
  readonly files?: number;
  readonly bytes?: number;
  readonly error?: string;
}

export async function flushVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = ""] = positional;
  const isJson = options.flag("json");
  const path = ownPath(["volumes", name, "flush"]);
  const isTerminal = await terminal.isErrTerminal();
  try {
    await client.lines({ method: "POST", path }, async (text) => {
      // The daemon is trusted to keep the shape of its API.
      const { files = 0, bytes = 0, error } = JSON.parse(text) as FlushLine;
      if (error !== undefined) throw new CliFailure(error);
      if (isJson) await terminal.out(`${text.trim()}\n`);
      else if (isTerminal && files > 0) await terminal.err(leftText(name, { files, bytes }));
    });
  } catch (error) {
    throw asOwn(error);
  }
  if (!isJson) await terminal.out(`${name}\n`);
  return 0;
}

function leftText(
  name: string,
  { files, bytes }: { readonly files: number; readonly bytes: number },
): string {
  const what = files === 1 ? "1 file" : `${files} files`;
  return `${name}: ${what} (${humanSize(bytes)}) left\n`;
}
