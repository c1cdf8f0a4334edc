// The secrets of the daemon: where their key is, and the store that the engine and drivers get.
import path from "node:path";
import { EngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Log } from "../core/operation.ts";
import type { SecretStore } from "../core/secret-store.ts";
import { openSecrets } from "../secrets/disk-secrets.ts";
import type { DaemonConfig } from "./config.ts";
import { settings } from "./settings.ts";

/**
 * The path of the key. Throws `config.invalid` for one that is not absolute or lies in the root: a
 * copy of the root must not open what it holds.
 */
export function readSecretKey(given: {
  readonly file: string | undefined;
  readonly root: string;
  readonly userId: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): string {
  const { file = defaultFile(given), root } = given;
  const rule = path.isAbsolute(file) ? undefined : "an absolute path is needed";
  const key = path.resolve(file);
  const isInside = key === root || key.startsWith(`${root}/`);
  const why = rule ?? (isInside ? `a place outside of the root ${root} is needed` : undefined);
  if (why === undefined) return key;
  throw new EngineError("config.invalid", `secret-key ${JSON.stringify(file)}: ${why}`);
}

/** Opens the secrets of a root that exists. Throws as `openSecrets`. */
export function makeDaemonSecrets(parts: {
  readonly config: Pick<DaemonConfig, "root" | "secretKey">;
  readonly host: Host;
  readonly log: Log;
}): SecretStore {
  const { config, host, log } = parts;
  return openSecrets({ root: config.root, keyPath: config.secretKey, host, log });
}

function defaultFile(of: Parameters<typeof readSecretKey>[0]): string {
  if (of.userId === 0) return settings["secret-key"].default;
  const { HOME: home = "/", XDG_CONFIG_HOME: own } = of.environment;
  return path.join(own || path.join(home, ".config"), "holdfast/secret.key");
}
