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
  let said = "";
  try {
    await client.lines({ method: "POST", path }, async (line) => {
      // The daemon is trusted to keep the shape of its API.
      const { files = 0, bytes = 0, error } = JSON.parse(line) as FlushLine;
      if (error !== undefined) throw new CliFailure(error);
      if (isJson) await terminal.out(`${line.trim()}\n`);
      if (isJson || !isTerminal || files === 0) return;
      const text = leftText(name, { files, bytes });
      // The same figures come several times a second, for as long as the server is away.
      if (text !== said) await terminal.err(inPlace(text));
      said = text;
    });
  } catch (error) {
    throw asOwn(error);
  } finally {
    if (said !== "") await terminal.err(inPlace(""));
  }
  if (!isJson) await terminal.out(`${name}\n`);
  return 0;
}

function leftText(
  name: string,
  { files, bytes }: { readonly files: number; readonly bytes: number },
): string {
  const what = files === 1 ? "1 file" : `${files} files`;
  return `${name}: ${what} (${humanSize(bytes)}) not on the server yet …`;
}

/** Over what the line says now. */
function inPlace(text: string): string {
  return `\r\x1b[K${text}`;
}
