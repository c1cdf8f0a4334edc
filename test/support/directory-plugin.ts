// A volume plugin of plain directories, as little as engines need: for tests of what engines do.
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { bodyOf, listenOn } from "./served-plugin.ts";

export interface DirectoryPlugin extends AsyncDisposable {
  /** The calls so far, as `VolumeDriver.Mount wiki`. */
  readonly calls: readonly string[];
}

/** Listens on a Unix socket; `folder` gets a directory for each volume. */
export async function startDirectoryPlugin(
  socketPath: string,
  folder: string,
): Promise<DirectoryPlugin> {
  const calls: string[] = [];
  const volumes = new Set<string>();
  const answers: Readonly<Record<string, (name: string) => unknown>> = {
    "Plugin.Activate": () => ({ Implements: ["VolumeDriver"] }),
    "VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "local" } }),
    "VolumeDriver.Create": (name) => {
      mkdirSync(join(folder, name), { recursive: true });
      volumes.add(name);
      return {};
    },
    "VolumeDriver.Remove": (name) => {
      volumes.delete(name);
      return {};
    },
    "VolumeDriver.Mount": (name) => ({ Mountpoint: join(folder, name) }),
    "VolumeDriver.Path": (name) => ({ Mountpoint: join(folder, name) }),
    "VolumeDriver.Get": (name) =>
      volumes.has(name)
        ? { Volume: { Name: name, Mountpoint: join(folder, name) } }
        : { Err: `no volume ${name}` },
    "VolumeDriver.List": () => ({ Volumes: [...volumes].map((Name) => ({ Name })) }),
    "VolumeDriver.Unmount": () => ({}),
  };
  const server = createServer(async (request, response) => {
    const name = nameIn(await bodyOf(request));
    const call = (request.url ?? "").slice(1);
    calls.push(`${call} ${name}`.trim());
    response.end(JSON.stringify(answers[call]?.(name) ?? { Err: `no call ${call}` }));
  });
  const served = await listenOn(socketPath, server);
  return { calls, [Symbol.asyncDispose]: () => served[Symbol.asyncDispose]() };
}

function nameIn(body: string): string {
  // Engines send an object, or nothing.
  const { Name: name } = JSON.parse(body === "" ? "{}" : body) as { Name?: string };
  return name ?? "";
}
