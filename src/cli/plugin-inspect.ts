// `holdfast plugin inspect`: the daemon's own JSON of each plugin, what is missing at the end.
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonUnreachable } from "./failure.ts";
import { execute, listWords, parseFormat } from "./format.ts";
import { jsonStruct } from "./json-struct.ts";
import { pluginPath } from "./plugin-api.ts";
import { SeveralFailures } from "./several-failures.ts";
import { escapeHtml, sortKeys } from "./volume-object.ts";

type RawPlugin = Readonly<Record<string, unknown>>;

/** Docker ends with 64 when the template of an inspect cannot be parsed. */
const inspectWords = { ...listWords, parseExit: 64 };

export async function inspectPlugins(invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation;
  const format = options.flag("json") ? "json" : (options.text("format") ?? "");
  const render = format === "" || format === "json" ? undefined : templateOf(format);
  const { plugins, failures } = await find(invocation);
  if (options.flag("json")) {
    const lines = plugins.map((plugin) => `${JSON.stringify(sortKeys(plugin))}\n`);
    await terminal.out(lines.join(""));
  } else if (render === undefined) {
    const json = JSON.stringify(plugins.map(sortKeys), undefined, format === "json" ? 0 : 4);
    await terminal.out(`${escapeHtml(json)}\n`);
  } else {
    let text = "";
    for (const plugin of plugins) {
      try {
        text += `${render(plugin)}\n`;
      } catch (error) {
        if (!(error instanceof CliFailure)) throw error;
        failures.push(error);
      }
    }
    await terminal.out(text === "" ? "\n" : text);
  }
  if (failures.length > 0) throw new SeveralFailures(failures);
  return 0;
}

/** By the names of Go's struct, and where there is none such, by those of the JSON. */
function templateOf(format: string): (plugin: RawPlugin) => string {
  const template = parseFormat(format, inspectWords);
  return (plugin) => {
    const { Id, ...rest } = plugin;
    try {
      return execute(template, jsonStruct("types.Plugin", { ID: Id, ...rest }), inspectWords);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      return execute(template, jsonStruct("types.Plugin", plugin), inspectWords);
    }
  };
}

async function find({ positional, client }: Invocation) {
  const plugins: RawPlugin[] = [];
  const failures: CliFailure[] = [];
  for (const name of positional) {
    try {
      const path = pluginPath(name, "/json");
      plugins.push(await client.json<RawPlugin>({ method: "GET", path }));
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      failures.push(error);
      if (error instanceof DaemonUnreachable) break;
    }
  }
  return { plugins, failures };
}
