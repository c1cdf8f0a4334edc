// `holdfast volume inspect --full`: what Docker's object has no place for, history included.
import type { Invocation } from "./command.ts";
import { ask, badWords, forEach, ownPath } from "./own-client.ts";

/** Volumes as Holdfast's own API describes them; what is missing is told at the end. */
export async function inspectFully(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const format = options.text("format") ?? "";
  if (format !== "" && format !== "json") {
    throw badWords(`--full prints JSON, and takes no template: ${format}`);
  }
  const found: object[] = [];
  try {
    await forEach(positional, async (name) => {
      found.push(await ask<object>(client, { method: "GET", path: ownPath(["volumes", name]) }));
    });
  } finally {
    const text = options.flag("json")
      ? found.map((volume) => `${JSON.stringify(volume)}\n`).join("")
      : `${JSON.stringify(found, undefined, format === "json" ? 0 : 4)}\n`;
    await terminal.out(text);
  }
  return 0;
}
