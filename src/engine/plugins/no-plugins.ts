// An engine without plugins: nothing is found, installed or run.
import { EngineError } from "../../core/errors.ts";
import type { ManagedPlugins, PluginHost } from "../../core/plugin.ts";

/** What an engine needs of plugins. */
export interface PluginParts {
  readonly host: PluginHost;
  readonly managed: ManagedPlugins;
}

const refuse = async (): Promise<never> => {
  throw new EngineError("driver.unsupported", "this engine runs no managed plugins");
};

/** For an engine whose assembly has no part for them. */
export const noPlugins: PluginParts = {
  host: {
    driver: () => undefined,
    statuses: () => [],
    status: () => undefined,
    follow: () => () => undefined,
    lookAgain: async () => undefined,
    release: async () => undefined,
    counted: () => [],
  },
  managed: {
    list: () => [],
    find(text) {
      throw new EngineError("plugin.not_found", `plugin ${JSON.stringify(text)} not found`);
    },
    privileges: refuse,
    pull: refuse,
    fetch: refuse,
    upgrade: refuse,
    enable: refuse,
    disable: refuse,
    pause: refuse,
    set: refuse,
    remove: refuse,
    create: refuse,
    login: refuse,
    push: refuse,
    logs: refuse,
  },
};
