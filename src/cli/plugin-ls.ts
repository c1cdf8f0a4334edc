// `holdfast plugin ls`: Docker's list; on a terminal with what each plugin does, and sockets too.
import type { Invocation } from "./command.ts";
import { renderRows } from "./format.ts";
import { sortNaturally } from "./natural-order.ts";
import { readOwnPlugins, renderWidePlugins } from "./own-plugin.ts";
import type { ApiPlugin } from "./plugin-api.ts";
import { GoStruct, type GoValue } from "./template/values.ts";
import { filterQuery } from "./volume.ts";

/** How much of an id and of a description is shown. */
const ID_CHARACTERS = 12;
const DESCRIPTION_CHARACTERS_MAX = 45;

const headers: Readonly<Record<string, string>> = {
  ID: "ID",
  Name: "NAME",
  Description: "DESCRIPTION",
  Enabled: "ENABLED",
  PluginReference: "IMAGE",
};

const tableFormat = "table {{.ID}}\\t{{.Name}}\\t{{.Description}}\\t{{.Enabled}}";
const rawFormat =
  "plugin_id: {{.ID}}\\nname: {{.Name}}\\ndescription: {{.Description}}\\nenabled: {{.Enabled}}\\n";

export async function listPlugins(invocation: Invocation): Promise<number> {
  const { options, client, terminal } = invocation;
  const filters = options.all("filter");
  const isPlain = !["format", "quiet", "json", "no-trunc"].some((name) => options.isGiven(name));
  if (isPlain && filters.length === 0 && (await terminal.isOutTerminal())) {
    const own = await readOwnPlugins(client);
    if (own !== undefined) {
      await terminal.out(renderWidePlugins(own, terminal));
      return 0;
    }
  }
  const query = filterQuery(filters);
  const path = query === "" ? "/plugins" : `/plugins?${query}`;
  const found = (await client.json<readonly ApiPlugin[] | null>({ method: "GET", path })) ?? [];
  const plugins = sortNaturally([...found], ({ Name }) => Name);
  const isTruncated = !options.flag("no-trunc");
  const rows = plugins.map((plugin) => pluginRow(plugin, isTruncated));
  const isJson = options.flag("json");
  const format = isJson ? "json" : formatOf(options.text("format") ?? "", options.flag("quiet"));
  await terminal.out(renderRows(rows, { format, headers }));
  return 0;
}

function formatOf(format: string, isQuiet: boolean): string {
  if (format === "" || format === "table") return isQuiet ? "{{.ID}}" : tableFormat;
  if (format === "raw") return isQuiet ? "plugin_id: {{.ID}}" : rawFormat;
  return format;
}

function pluginRow(plugin: ApiPlugin, isTruncated: boolean): GoStruct {
  const { Id, Name, Enabled, PluginReference = "", Config } = plugin;
  const description = (Config.Description ?? "").replaceAll(/[\r\n]/g, "");
  const values: Readonly<Record<string, string | boolean>> = {
    Description: isTruncated ? ellipsis(description) : description,
    Enabled,
    ID: isTruncated ? Id.slice(0, ID_CHARACTERS) : Id,
    Name,
    PluginReference,
  };
  const fields = new Map<string, GoValue>(Object.entries(values));
  return new GoStruct("*plugin.pluginContext", fields, { json: () => JSON.stringify(values) });
}

function ellipsis(text: string): string {
  const characters = [...text];
  if (characters.length <= DESCRIPTION_CHARACTERS_MAX) return text;
  return `${characters.slice(0, DESCRIPTION_CHARACTERS_MAX - 1).join("")}…`;
}
