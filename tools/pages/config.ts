// docs/reference/config.md: what the daemon can be told, from the table of its settings.
import { settingEntries, variableOf } from "../../src/daemon/settings.ts";

export function renderConfig(): string {
  const rows = settingEntries.map(([name, { takes, about, isList, ...spec }]) => {
    const key = name === "config" ? "" : `\`${name}\``;
    const users = spec.defaultOfUsers === undefined ? "" : `; as a user: ${spec.defaultOfUsers}`;
    const list = isList ? " A list; in the variable with commas." : "";
    // A bar would end the cell, in code too.
    const option = `\`--${name} ${takes.replaceAll("|", "\\|")}\``;
    const cells = [option, `\`${variableOf(name)}\``, key, `${spec.default}${users}`];
    return `| ${[...cells, `${about}${list}`].join(" | ")} |`;
  });
  return [
    "# What the daemon can be told",
    "",
    "Generated from `src/daemon/settings.ts` by `npm run generate`; `holdfast daemon --help` has",
    "the same. An option is stronger than a variable, and a variable stronger than the file. A",
    "value that makes no sense is refused at the start, with exit code 2.",
    "",
    "| option | variable | key | default | |",
    "|---|---|---|---|---|",
    ...rows,
    "",
    "The file is TOML:",
    "",
    "```toml",
    'root = "/srv/holdfast"',
    'host = ["unix:///run/holdfast/holdfast.sock", "unix:///srv/apps/holdfast.sock"]',
    'plugin-socket = "/run/docker/plugins/holdfast.sock"',
    'insecure-registry = ["registry.lan:5000", "10.0.0.0/8"]',
    'registry-mirror = "https://mirror.lan"',
    'group = "storage"',
    'log-level = "warn"',
    "```",
    "",
    "The command line knows one variable, `HOLDFAST_HOST`: the socket to connect to. With several",
    "sockets in it for the daemon, give the command line its own.",
    "",
  ].join("\n");
}
