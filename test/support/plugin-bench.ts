// The volume driver socket's face over an engine of the test's own, without holds of the kernel.

import type { ApiParts } from "../../src/api/handler.ts";
import { type HoldsPort, makePluginHandler } from "../../src/api/plugin/router.ts";
import type { Handler } from "../../src/http/message.ts";
import { type ApiAnswer, type ApiBench, startedApi } from "./api-bench.ts";
import type { MemoryPlugins } from "./memory-plugins.ts";

/** Holds that are the engine's plain mounts, with some members replaced. */
export function plainHolds({ engine }: ApiParts, changed: Partial<HoldsPort> = {}): HoldsPort {
  return {
    mount: (name, holder, operation) => engine.volumes.mount(name, holder, operation),
    unmount: (name, holder, operation) => engine.volumes.unmount(name, holder, operation),
    noteCaller: () => Promise.resolve(),
    noteContact: () => undefined,
    ...changed,
  };
}

/** The face as an `ApiBenchParts.handler`. */
export function pluginHandler(changed: Partial<HoldsPort> = {}): (parts: ApiParts) => Handler {
  return (parts) => makePluginHandler({ ...parts, holds: plainHolds(parts, changed) });
}

export function startedPlugin(
  changed: Partial<HoldsPort> = {},
  plugins: (plugins: MemoryPlugins) => void = () => undefined,
): Promise<ApiBench> {
  return startedApi({ handler: pluginHandler(changed), plugins });
}

/** A call of `VolumeDriver`, as dockerd sends it: JSON, a newline and no Content-Type. */
export function call(bench: ApiBench, method: string, request: unknown): Promise<ApiAnswer> {
  const body = `${JSON.stringify(request)}\n`;
  return bench.send("POST", `/VolumeDriver.${method}`, { body, isUntyped: true });
}

/** The call's `Err`; "" when it succeeded. Fails the test's call when it is no 200. */
export async function errorOf(bench: ApiBench, method: string, request: unknown): Promise<string> {
  const { status, json, body } = await call(bench, method, request);
  if (status !== 200) throw new Error(`${method} answered ${status}: ${body}`);
  const { Err } = json as { readonly Err?: string };
  return Err ?? "";
}
