// `holdfast plugin enable`, `disable`, `rm` and `set`: Docker's calls; the name as it was typed.
import type { ApiRequest } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { forEach } from "./own-client.ts";
import { PLUGIN_SILENCE_MS_MAX, pluginPath } from "./plugin-api.ts";

const silenceMs = PLUGIN_SILENCE_MS_MAX;

export async function enablePlugin(invocation: Invocation): Promise<number> {
  const { options, positional } = invocation;
  const [name = ""] = positional;
  const seconds = Number(options.text("timeout"));
  if (seconds < 0) throw new CliFailure(`negative timeout ${seconds} is invalid`);
  const path = pluginPath(name, `/enable?timeout=${seconds}`);
  return await sendOne(invocation, name, { method: "POST", path, silenceMs });
}

export async function disablePlugin(invocation: Invocation): Promise<number> {
  const { options, positional } = invocation;
  const [name = ""] = positional;
  const path = pluginPath(name, `/disable${options.flag("force") ? "?force=1" : ""}`);
  return await sendOne(invocation, name, { method: "POST", path, silenceMs });
}

/** Docker prints nothing. */
export async function setPlugin({ positional, client }: Invocation): Promise<number> {
  const [name = "", ...words] = positional;
  await client.send({ method: "POST", path: pluginPath(name, "/set"), body: words });
  return 0;
}

export async function removePlugins(invocation: Invocation): Promise<number> {
  const { options, positional } = invocation;
  const query = options.flag("force") ? "?force=1" : "";
  await forEach(positional, async (name) => {
    const path = pluginPath(name, query);
    await sendOne(invocation, name, { method: "DELETE", path, silenceMs });
  });
  return 0;
}

async function sendOne(
  { options, client, terminal }: Invocation,
  name: string,
  request: ApiRequest,
): Promise<number> {
  await client.send(request);
  const line = options.flag("json") ? JSON.stringify({ Name: name }) : name;
  await terminal.out(`${line}\n`);
  return 0;
}
