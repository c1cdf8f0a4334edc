// `holdfast plugin create` and `push`: a plugin made of a directory, and sent to its registry.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { PLUGIN_SILENCE_MS_MAX, parseReference, pluginPath } from "./plugin-api.ts";
import { progressPrinter } from "./progress-lines.ts";
import { registryHeaders } from "./registry-auth.ts";

export async function createPlugin(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [name = "", directory = ""] = positional;
  parseReference(name);
  const { openContext } = await import("./plugin-context.ts");
  const chunks = await openContext(directory, { isCompressed: options.flag("compress") });
  await client.send({
    method: "POST",
    path: `/plugins/create?name=${encodeURIComponent(name)}`,
    upload: { contentType: "application/x-tar", chunks },
    silenceMs: PLUGIN_SILENCE_MS_MAX,
  });
  await terminal.out(`${options.flag("json") ? JSON.stringify({ Name: name }) : name}\n`);
  return 0;
}

export async function pushPlugin(invocation: Invocation): Promise<number> {
  const { positional, client, terminal } = invocation;
  const [typed = ""] = positional;
  const { familiar, digest, host } = parseReference(typed);
  if (digest !== null) throw new CliFailure(`invalid name: ${typed}`);
  const headers = await registryHeaders(host, terminal);
  const print = await progressPrinter(invocation);
  await client.lines({ method: "POST", path: pluginPath(familiar, "/push"), headers }, print);
  return 0;
}
