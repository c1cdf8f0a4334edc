// A volume plugin as a function: for the checks of the protocol, and for plugins that break them.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CallPlugin, PluginReply } from "../../src/conformance/plugin-bench.ts";

/** What the protocol's bodies may have. */
export interface PluginBody {
  readonly Name?: string;
  readonly ID?: string;
  readonly Opts?: Readonly<Record<string, string>> | null;
}

/** What a call answers: an object, or a whole reply. */
export type PluginCall = (body: PluginBody) => unknown;

export type PluginCalls = Readonly<Record<string, PluginCall>>;

interface ModelVolume {
  readonly createdAt: string;
  readonly ids: Set<string>;
}

/** The calls of a plugin that keeps every promise; a directory in `folder` for each volume. */
export function modelPluginCalls(folder: string): PluginCalls {
  const volumes = new Map<string, ModelVolume>();
  const placeOf = (name: string): string => join(folder, name);
  const known = (name = ""): ModelVolume => {
    const volume = volumes.get(name);
    if (volume === undefined) throw new Error(`volume ${name} unknown to plugin`);
    return volume;
  };
  return {
    "Plugin.Activate": () => ({ Implements: ["VolumeDriver"] }),
    "VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "local" } }),
    "VolumeDriver.Create": ({ Name = "", Opts }) => {
      const odd = Object.keys(Opts ?? {}).find((option) => option !== "size");
      if (odd !== undefined) throw new Error(`unknown option ${odd}`);
      if (volumes.has(Name)) return {};
      mkdirSync(placeOf(Name));
      volumes.set(Name, { createdAt: "2026-01-02T03:04:05Z", ids: new Set() });
      return {};
    },
    "VolumeDriver.Remove": ({ Name = "" }) => {
      if (known(Name).ids.size > 0) throw new Error(`volume ${Name} is mounted`);
      rmSync(placeOf(Name), { recursive: true });
      volumes.delete(Name);
      return {};
    },
    "VolumeDriver.Mount": ({ Name = "", ID = "" }) => {
      known(Name).ids.add(ID);
      return { Mountpoint: placeOf(Name) };
    },
    "VolumeDriver.Unmount": ({ Name = "", ID = "" }) => {
      volumes.get(Name)?.ids.delete(ID);
      return {};
    },
    "VolumeDriver.Path": ({ Name = "" }) => {
      const isMounted = known(Name).ids.size > 0;
      return { Mountpoint: isMounted ? placeOf(Name) : "" };
    },
    "VolumeDriver.Get": ({ Name = "" }) => {
      const { createdAt } = known(Name);
      const Mountpoint = placeOf(Name);
      return { Volume: { Name, Mountpoint, CreatedAt: createdAt, Status: {} }, Err: "" };
    },
    "VolumeDriver.List": () => ({ Volumes: [...volumes.keys()].map((Name) => ({ Name })) }),
  };
}

/** Such calls as the bench makes them. What throws is answered with `Err`, and status 500. */
export function asCallPlugin(calls: PluginCalls): CallPlugin {
  return async ({ method, body }): Promise<PluginReply> => {
    const call = calls[method];
    if (call === undefined) return { status: 404, body: "404 page not found" };
    try {
      // A parser: what is no object has none of the members.
      const parsed = JSON.parse(body.trim() === "" ? "{}" : body) as PluginBody | null;
      const answer = await call(parsed ?? {});
      if (isReply(answer)) return answer;
      return { status: 200, body: JSON.stringify(answer) };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { status: 500, body: JSON.stringify({ Err: text }) };
    }
  };
}

function isReply(value: unknown): value is PluginReply {
  return typeof value === "object" && value !== null && "status" in value && "body" in value;
}
