// A plugin as Holdfast's own API describes it: its state, its volumes, its log, its upgrade.
import { type DaemonClient, measuringSilenceMs } from "./client.ts";
import { DaemonRefusal } from "./failure.ts";
import { ownPath } from "./own-client.ts";
import { alarmingWords, conditionText } from "./plugin-state.ts";
import { colours } from "./style.ts";
import { alignColumns, oneLine } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** src/api/holdfast/plugin-contract.ts has what the fields mean. */
export interface OwnPlugin {
  readonly name: string;
  readonly kind: "managed" | "socket";
  readonly id: string | null;
  readonly state: string;
  readonly since: string | null;
  readonly reason: string | null;
  readonly restarts: number;
  readonly volumes: number;
  readonly version: string | null;
  readonly address: string | null;
  /** Where a managed one has its files. */
  readonly directory: string | null;
}

/** All plugins, sorted by name; undefined where the daemon is not ours. */
export async function readOwnPlugins(
  client: DaemonClient,
): Promise<readonly OwnPlugin[] | undefined> {
  try {
    const { plugins } = await client.json<{ readonly plugins: readonly OwnPlugin[] }>({
      method: "GET",
      path: ownPath(["plugins"]),
    });
    return plugins;
  } catch (error) {
    if (error instanceof DaemonRefusal) return undefined;
    throw error;
  }
}

/** The table for people. */
export function renderWidePlugins(plugins: readonly OwnPlugin[], terminal: Terminal): string {
  const nowMs = terminal.nowMs();
  const header = ["NAME", "KIND", "VERSION", "VOLUMES", "STATE"];
  const rows = plugins.map((plugin) => [
    oneLine(plugin.name),
    plugin.kind,
    plugin.version ?? "-",
    String(plugin.volumes),
    stateWords(plugin, nowMs),
  ]);
  const text = alignColumns([header, ...rows].map((cells) => cells.join("\t")).join("\n"));
  const [first = "", ...lines] = text.split("\n");
  // Colours come last: they would count as characters. The state is the last column.
  const { bold, red } = colours(terminal);
  const stateAt = first.indexOf("STATE");
  const coloured = lines.map((line) => {
    const state = line.slice(stateAt);
    const isAlarming = alarmingWords.some((word) => state.startsWith(word));
    return isAlarming ? `${line.slice(0, stateAt)}${red(state)}` : line;
  });
  return [bold(first), ...coloured].map((line) => `${line}\n`).join("");
}

/**
 * `running`, `ready` of what runs by itself, `UNREACHABLE 12m (connection refused)`,
 * `RESTARTING 4s, started 3 times (it ended with 1)`.
 */
function stateWords({ restarts, ...plugin }: OwnPlugin, nowMs: number): string {
  if (plugin.state === "ready") return plugin.kind === "managed" ? "running" : "ready";
  if (restarts === 0) return conditionText(plugin, nowMs);
  const { state, since, reason } = plugin;
  const first = conditionText({ state, since, reason: null }, nowMs);
  const count = restarts === 1 ? "once" : `${restarts} times`;
  return `${first}, started ${count}${reason === null ? "" : ` (${oneLine(reason)})`}`;
}

/** Names for completion: short of what stands behind `:latest`, as people type them. */
export async function pluginNames(client: DaemonClient): Promise<readonly string[]> {
  const own = await readOwnPlugins(client);
  const names = (own ?? []).filter(({ kind }) => kind === "managed").map(({ name }) => name);
  return names.map((name) => name.replace(/:latest$/, ""));
}

/**
 * Upgrades in place: stop, upgrade, start, or back to what was. Each line is one of Docker's
 * progress. Throws `DaemonRefusal` with status 404 where the daemon is not ours.
 */
export async function upgradeInPlace(
  client: DaemonClient,
  request: {
    readonly name: string;
    readonly remote: string;
    readonly granted: unknown;
    readonly headers: Readonly<Record<string, string>>;
  },
  onLine: (line: string) => Promise<void>,
): Promise<void> {
  const { name, remote, granted, headers } = request;
  const path = ownPath(["plugins", name, "upgrade"]);
  const silenceMs = measuringSilenceMs;
  const body = { remote, granted };
  await client.lines({ method: "POST", path, body, headers, silenceMs }, onLine);
}
