// Socket plugins of the bench: processes of bench/plugin-server.c, which cost next to nothing.
import { join } from "node:path";
import { called } from "./calls.ts";
import type { Ground, Workbench } from "./workbench.ts";

/** "dead": its socket is there, and nobody listens. */
export type ServerMode = "works" | "hangs" | "trickles" | "dead";

export interface PluginServer {
  readonly name: string;
  readonly socket: string;
  /** Ends its process and starts another at the same place, unless it is to be dead. */
  become(mode: ServerMode): Promise<void>;
  /** Makes volumes `<name>-0` … in it, without any engine. */
  fill(count: number): Promise<void>;
  /** How many calls of Mount and of Unmount there were in this life of it. */
  counts(): Promise<{ readonly mounts: number; readonly unmounts: number }>;
}

/** Where engines look for plugins, and the plugins there. Disposing of it ends them. */
export interface PluginServers extends AsyncDisposable {
  readonly folder: string;
  /** One that works; its volumes are directories on the file system under test. */
  start(name: string): Promise<PluginServer>;
}

/** Compiles the plugin. `folder` is made by the caller. */
export async function pluginServers(
  workbench: Workbench,
  ground: Ground,
  folder: string,
): Promise<PluginServers> {
  const program = await workbench.tools.compileStatic("plugin-server");
  const servers: Server[] = [];
  return {
    folder,
    async start(name) {
      const socket = join(folder, `${name}.sock`);
      const server = new Server(name, socket, [program, socket, join(ground.disk, name)]);
      servers.push(server);
      await server.become("works");
      return server;
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server.become("dead");
    },
  };
}

class Server implements PluginServer {
  readonly name: string;
  readonly socket: string;
  readonly #command: readonly string[];
  #child: Bun.Subprocess<"pipe", "pipe", "inherit"> | undefined;

  constructor(name: string, socket: string, command: readonly string[]) {
    this.name = name;
    this.socket = socket;
    this.#command = command;
  }

  async become(mode: ServerMode): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
    this.#child = undefined;
    if (mode === "dead") return;
    const command = [...this.#command, mode];
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    const { done } = await this.#child.stdout.getReader().read();
    if (done) throw new Error(`${command.join(" ")} does not listen`);
  }

  async fill(count: number): Promise<void> {
    await this.#ask("Bench.Fill", { Name: String(count) });
  }

  async counts(): Promise<{ readonly mounts: number; readonly unmounts: number }> {
    const answer: unknown = JSON.parse(await this.#ask("Bench.Counts", {}));
    const counts = { mounts: 0, unmounts: 0, ...(typeof answer === "object" ? answer : {}) };
    return { mounts: Number(counts.mounts), unmounts: Number(counts.unmounts) };
  }

  async #ask(call: string, body: object): Promise<string> {
    return (await called({ socket: this.socket, method: "POST", path: `/${call}`, body })).text;
  }
}
