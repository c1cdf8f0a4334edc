// The routes of plugins: all of them with their states, a log, an upgrade of what runs.
import path from "node:path";
import { toEngineError } from "../../core/errors.ts";
import type { PluginPrivilege, PluginProgress, PullRequest } from "../../core/plugin.ts";
import { tryParsePluginReference } from "../../core/plugin-reference.ts";
import type { Engine } from "../../engine/engine.ts";
import type { DriverPluginView, PluginView } from "../../engine/plugins/plugins.ts";
import { progressLine } from "../docker/plugin-progress.ts";
import { registryCall } from "../docker/plugin-requests.ts";
import { instantOf } from "../holder-objects.ts";
import type { Body } from "./body.ts";
import { type Call, LineStream, parseCount } from "./call.ts";
import { KeptLines } from "./kept-lines.ts";
import { PLUGIN_LINES_COUNT_MAX } from "./plugin-contract.ts";

/** The handlers of `plugins`, `plugin`, `pluginLog` and `upgradePlugin`. */
export function pluginHandlers(engine: Engine, root: string) {
  const { plugins } = engine;
  const managed = (view: PluginView) => managedObject(view, root);
  return {
    plugins: () => {
      const objects = [...plugins.list().map(managed), ...plugins.sockets().map(socketObject)];
      return { plugins: objects.sort((one, other) => (one.name < other.name ? -1 : 1)) };
    },
    plugin: ({ path: { name = "" } }: Call) => {
      const socket = plugins.sockets().find(({ status }) => status.name === name);
      return socket === undefined ? managed(plugins.find(name)) : socketObject(socket);
    },
    pluginLog: async ({ path: { name = "" }, query }: Call) => {
      const lines = await plugins.logs(name, parseCount(query, PLUGIN_LINES_COUNT_MAX));
      return {
        lines: lines.map(({ atMs, stream, text }) => ({ at: instantOf(atMs), stream, text })),
      };
    },
    upgradePlugin: (call: Call) => upgrade(engine, call),
  };
}

/**
 * What is refused before anything has happened has its status; afterwards a failure is a line. It
 * goes on when the client goes away: half an upgrade would be worse.
 */
async function upgrade(engine: Engine, { path: { name = "" }, body, context }: Call) {
  const { plugin } = engine.plugins.find(name);
  const request: PullRequest = {
    ...registryCall(context.request),
    remote: body.text("remote") ?? plugin.reference,
    granted: grantedIn(body),
  };
  const lines = new KeptLines();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const tell = (progress: PluginProgress) => {
    lines.write(progressLine(progress));
    begin();
  };
  const work = engine.plugins.upgradeInPlace(name, request, tell, context.operation);
  await Promise.race([work, begun]);
  work
    .catch((thrown: unknown) => {
      const { message, code, recovery } = toEngineError(thrown);
      lines.write(`${JSON.stringify({ error: message, code, recovery })}\n`);
    })
    .finally(() => lines.end());
  return new LineStream((writer) => lines.sendTo(writer));
}

function grantedIn(body: Body): readonly PluginPrivilege[] {
  return body.records("granted").map(({ name, description, value }) => ({
    name: String(name),
    description: typeof description === "string" ? description : "",
    value: Array.isArray(value) ? value.map(String) : [],
  }));
}

function managedObject({ plugin, status, volumeCount }: PluginView, root: string) {
  const { id, name, isEnabled, reference, config, digest, previous, installedAtMs } = plugin;
  const { sinceMs, reason = "", restartCount = 0, address = "" } = status ?? {};
  return {
    name,
    kind: "managed",
    id,
    state: status?.state ?? (isEnabled ? "ready" : "disabled"),
    since: sinceMs === undefined ? null : instantOf(sinceMs),
    reason: reason || null,
    restarts: restartCount,
    volumes: volumeCount,
    version: versionOf(reference),
    reference: reference || null,
    digest: digest || null,
    previous: previous?.reference || null,
    address: address || null,
    description: config.description || null,
    installedAt: instantOf(installedAtMs),
    directory: path.join(root, "plugins", id),
  };
}

function socketObject({ status, volumeCount }: DriverPluginView) {
  const { name, state, sinceMs, reason, restartCount, address } = status;
  return {
    name: String(name),
    kind: "socket",
    id: null,
    state,
    since: instantOf(sinceMs),
    reason: reason || null,
    restarts: restartCount,
    volumes: volumeCount,
    ...{ version: null, reference: null, digest: null, previous: null },
    address: address || null,
    ...{ description: null, installedAt: null, directory: null },
  };
}

function versionOf(reference: string): string | null {
  const parsed = tryParsePluginReference(reference);
  return parsed?.tag ?? parsed?.digest ?? null;
}
