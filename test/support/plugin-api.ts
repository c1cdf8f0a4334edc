// Docker's API on a socket, over an engine whose managed plugins are scripted.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { isPluginUpload } from "../../src/api/docker/plugins.ts";
import { makeHandler } from "../../src/api/handler.ts";
import { localLeases } from "../../src/cluster/local-leases.ts";
import type { ManagedPlugins } from "../../src/core/plugin.ts";
import { noPlugins } from "../../src/engine/plugins/no-plugins.ts";
import { Plugins } from "../../src/engine/plugins/plugins.ts";
import { HttpServer } from "../../src/http/server.ts";
import { testFacts } from "./api-bench.ts";
import { temporaryDirectory } from "./daemon.ts";
import { type EngineBench, startedEngine } from "./engine-bench.ts";
import { ScriptedPlugins } from "./scripted-plugins.ts";

export interface PluginApi extends AsyncDisposable {
  readonly socketPath: string;
  readonly plugins: ScriptedPlugins;
  readonly bench: EngineBench;
  /** How many clients are connected. */
  connectionCount(): number;
}

export async function startPluginApi(): Promise<PluginApi> {
  const bench = await startedEngine();
  const plugins = new ScriptedPlugins();
  const folder = temporaryDirectory();
  const socketPath = join(folder, "api.sock");
  const server = new HttpServer({
    handler: makeHandler({
      engine: { ...bench.engine, plugins: pluginsOver(bench, plugins) },
      facts: testFacts,
      operation: () => bench.operation(),
    }),
    onHandlerError: (error) => ({ status: 500, headers: [], body: String(error) }),
    peerOf: () => undefined,
    onServerError: (error) => bench.operation().log.error(String(error)),
    streamsBody: isPluginUpload,
    clock: bench.host,
  });
  await server.listen({ path: socketPath });
  return {
    ...{ socketPath, plugins, bench },
    connectionCount: () => server.connectionCount,
    async [Symbol.asyncDispose]() {
      await server.close({ drainMs: 0 });
      await bench[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What the engine makes of these plugins; nobody has a volume of them. */
export function pluginsOver({ engine, host }: EngineBench, managed: ManagedPlugins): Plugins {
  const { state, events, drivers } = engine;
  return new Plugins({
    ...{ managed, plugins: noPlugins.host, state, events, drivers },
    leases: localLeases(host),
    guard: { settle: async () => undefined },
  });
}
