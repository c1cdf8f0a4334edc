// What the registry of a guide has: `disks` in three versions, as an author would have sent them.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runToEnd } from "../support/child.ts";
import {
  type ConfigChanges,
  makePluginRootfs,
  testPluginConfig,
} from "../support/plugin-rootfs.ts";

const commandTimeoutMs = 60_000;

const debug = { name: "DEBUG", description: "", settable: ["value"], value: "0" };

/** The second asks for more, the third does not start. */
function versions(): Readonly<Record<string, ConfigChanges>> {
  const { linux, env } = testPluginConfig();
  const data = (env ?? []).filter(({ name }) => name === "DATA");
  const common = { description: "Volumes that are directories", env: [...data, debug] };
  return {
    v1: common,
    v2: { ...common, linux: { ...linux, capabilities: ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"] } },
    v3: { ...common, entrypoint: ["/bin/nothing"] },
  };
}

/** Made in `folder`, a new one, and sent by the daemon that `holdfast` talks to; nothing stays. */
export async function publishPlugins(
  registry: string,
  folder: string,
  holdfast: {
    readonly command: readonly [string, ...string[]];
    readonly environment: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const [program, ...first] = holdfast.command;
  for (const [tag, changes] of Object.entries(versions())) {
    const place = join(folder, tag);
    mkdirSync(place, { recursive: true });
    await makePluginRootfs(place, "propagated", changes);
    const name = `${registry}/disks:${tag}`;
    for (const words of [
      ["create", name, place],
      ["push", name],
      ["rm", name],
    ]) {
      const { environment } = holdfast;
      const how = { timeoutMs: commandTimeoutMs, environment };
      const { exit, stderr } = await runToEnd(program, [...first, "plugin", ...words], how);
      if (exit !== 0) throw new Error(`holdfast plugin ${words.join(" ")}: ${stderr}`);
    }
  }
  rmSync(folder, { recursive: true });
}
