// Keeps an eye on the directories of socket plugins: told by the kernel, and by the clock.
import { messageOf } from "../../core/errors.ts";
import type { Log } from "../../core/operation.ts";
import {
  type FoundPlugin,
  findPlugins,
  foldersIn,
  type PluginDirectories,
} from "./find-plugins.ts";
import { FolderWatches } from "./folder-watches.ts";

/** A safety net: what the kernel does not tell is found after this many milliseconds. */
const POLL_MS = 30_000;
/** Several changes in a row are one: a plugin binds its socket, then sets its mode. */
const SETTLE_MS = 10;

export interface DiscoveryParts {
  readonly directories: PluginDirectories;
  /** See `findPlugins`. */
  readonly ownSockets: readonly string[];
  /** Is told what is there after each look, whether or not it differs. */
  readonly found: (plugins: ReadonlyMap<string, FoundPlugin>) => void;
  readonly log: Log;
}

export class SocketDiscovery {
  readonly #parts: DiscoveryParts;
  readonly #watches = new FolderWatches(() => this.#soon());
  #poll: NodeJS.Timeout | undefined;
  #soonTimer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isStopped = false;
  /** Said once for each. */
  #lastTrouble = "";

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#poll = setInterval(() => this.#soon(), POLL_MS);
    void this.look();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#poll);
    clearTimeout(this.#soonTimer);
    this.#watches.stop();
  }

  /** A look that begins from now on. Never rejects. */
  look(): Promise<void> {
    if (this.#looking === undefined) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
      return this.#looking;
    }
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined;
      return this.look();
    });
    return this.#next;
  }

  #soon(): void {
    if (this.#isStopped || this.#soonTimer !== undefined) return;
    this.#soonTimer = setTimeout(() => {
      this.#soonTimer = undefined;
      void this.look();
    }, SETTLE_MS);
  }

  async #look(): Promise<void> {
    const { directories, ownSockets, found, log } = this.#parts;
    try {
      await this.#watchAll();
      const plugins = await findPlugins(directories, ownSockets);
      if (!this.#isStopped) found(plugins);
      this.#lastTrouble = "";
    } catch (error) {
      const words = messageOf(error);
      if (words !== this.#lastTrouble) {
        log.warn("the directories of plugins cannot be looked through", { error: words });
      }
      this.#lastTrouble = words;
    }
  }

  /** Before they are read: then nothing happens unnoticed in between. */
  async #watchAll(): Promise<void> {
    const { sockets, specs } = this.#parts.directories;
    const roots = [...(sockets === undefined ? [] : [sockets]), ...specs];
    const folders = await Promise.all(roots.map(foldersIn));
    if (this.#isStopped) return;
    const isNew = await this.#watches.set([...roots, ...folders.flat()]);
    // A directory may have come into one that was not watched when it was read.
    if (isNew) this.#soon();
  }
}
