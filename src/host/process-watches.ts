// Watches processes until they end. The kernel is asked about all of them at once, by one timer
// that runs only while one is watched: the runtime's event loop takes no descriptors of ours.
import { isErrno, storageError } from "../core/errors.ts";
import type { Host, KeptProcess } from "../core/host.ts";
import type { ProcessWatch } from "../core/process-watch.ts";
import { openProcessPoll, type ProcessPoll } from "./libc-poll.ts";
import { processStart } from "./processes.ts";

/** How long an end may stay unnoticed, in milliseconds. A look costs some microseconds. */
const LOOK_EVERY_MS = 20;

/** One process, and everybody who watches it. */
interface Watched {
  readonly process: KeptProcess;
  readonly descriptor: number;
  readonly watchers: Set<AbortController>;
}

/** The `watchProcess` of core/host.ts. */
export function processWatches(): Host["watchProcess"] {
  const watches = new ProcessWatches();
  return (process) => watches.watch(process);
}

class ProcessWatches {
  #poll: ProcessPoll | undefined;
  readonly #byDescriptor = new Map<number, Watched>();
  readonly #byPid = new Map<number, Watched>();
  #timer: ReturnType<typeof setInterval> | undefined;

  watch(process: KeptProcess): ProcessWatch | undefined {
    const watched = this.#known(process) ?? this.#open(process);
    if (watched === undefined) return undefined;
    const controller = new AbortController();
    watched.watchers.add(controller);
    return {
      ended: controller.signal,
      [Symbol.dispose]: () => {
        if (watched.watchers.delete(controller) && watched.watchers.size === 0) this.#end(watched);
      },
    };
  }

  #known({ pid, start }: KeptProcess): Watched | undefined {
    // It may have ended since the last look.
    if (this.#byPid.has(pid)) this.#look();
    const known = this.#byPid.get(pid);
    return known?.process.start === start ? known : undefined;
  }

  #open(process: KeptProcess): Watched | undefined {
    const descriptor = this.#descriptorOf(process);
    if (descriptor === undefined) return undefined;
    // Looked at behind the descriptor: from now on no other process is meant by it.
    if (processStart(process.pid) !== process.start) {
      this.#poll?.close(descriptor);
      return undefined;
    }
    const watched: Watched = { process, descriptor, watchers: new Set() };
    this.#byDescriptor.set(descriptor, watched);
    this.#byPid.set(process.pid, watched);
    this.#timer ??= setInterval(this.#look, LOOK_EVERY_MS);
    return watched;
  }

  #descriptorOf({ pid }: KeptProcess): number | undefined {
    // The kernel takes a pid of 0 or less for something else.
    if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
    try {
      this.#poll ??= openProcessPoll();
      return this.#poll.open(pid);
    } catch (thrown) {
      if (isErrno(thrown, "ESRCH") || isErrno(thrown, "EINVAL")) return undefined;
      throw storageError(thrown, `watching process ${pid}`);
    }
  }

  readonly #look = (): void => {
    const ended: Watched[] = [];
    this.#poll?.look((descriptor) => {
      const watched = this.#byDescriptor.get(descriptor);
      if (watched !== undefined) ended.push(watched);
    });
    for (const watched of ended) {
      this.#end(watched);
      for (const controller of watched.watchers) controller.abort();
      watched.watchers.clear();
    }
  };

  #end(watched: Watched): void {
    if (!this.#byDescriptor.delete(watched.descriptor)) return;
    this.#poll?.close(watched.descriptor);
    const { pid } = watched.process;
    if (this.#byPid.get(pid) === watched) this.#byPid.delete(pid);
    if (this.#byDescriptor.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
