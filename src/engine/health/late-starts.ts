// Starts containers again that their engines could not start, because the storage was late or
// Holdfast itself was: a dockerd that boots before either tries each of them once, whatever its
// restart policy says, and one that ends meanwhile is given up on within a minute.
import { toEngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { ContainerLists, ListedContainer } from "../container-lists.ts";
import { pause, unlessAborted } from "../pause.ts";
import { isRuleRefusal } from "../sharing/admissions.ts";

/** How often engines that do not answer are asked: a dockerd that starts containers does not. */
const ASK_COUNT_MAX = 15;
/** The pause between two of these, in milliseconds. */
const ASK_AGAIN_MS = 2_000;

/** Whom to start, and what the log says of it. */
interface Search {
  readonly isMeant: (container: ListedContainer) => boolean;
  /** See `ContainerEngine.startAgain`. */
  readonly isWanted: (failure: string) => boolean;
  readonly done: string;
  readonly failed: string;
  readonly facts: (container: ListedContainer) => Readonly<Record<string, string>>;
}

export class LateStarts {
  readonly #lists: Pick<ContainerLists, "ask">;
  /** Volumes that an engine was refused, and whose storage has not answered since. */
  readonly #refused = new Set<VolumeName>();
  #work: Promise<void> = Promise.resolve();
  /** Beside the other: an engine that does not answer must not keep what was late. */
  #unserved: Promise<void> = Promise.resolve();

  constructor(lists: Pick<ContainerLists, "ask">) {
    this.#lists = lists;
  }

  /** A container engine asked for a volume, and its storage did not play along. */
  noteRefused(name: VolumeName): void {
    this.#refused.add(name);
  }

  /** The storage of a volume answers. What follows is done in the background. */
  noteAnswer(name: VolumeName, operation: Operation): void {
    if (!this.#refused.delete(name)) return;
    this.#work = this.#work.then(() => this.#startAll(lateStorage(name), operation));
  }

  /**
   * The driver socket is served, as it may not have been for a while. Those that an engine could
   * not start meanwhile are looked for once, in the background. A volume whose storage is late is
   * refused then, and `noteAnswer` does the rest.
   */
  noteServing(operation: Operation): void {
    this.#unserved = this.#unserved.then(() => this.#startAll(unserved, operation));
  }

  /** Resolves when nothing of it goes on: after the signals of the answers' operations. */
  async settled(): Promise<void> {
    await Promise.all([this.#work, this.#unserved]);
  }

  /** Each is tried once, but those on which their engine is working: again while it is. */
  async #startAll(search: Search, operation: Operation): Promise<void> {
    const { signal } = operation;
    const tried = new Set<string>();
    for (let left = ASK_COUNT_MAX - 1; left >= 0 && !signal.aborted; left--) {
      const list = await unlessAborted(this.#lists.ask(operation), signal).catch(() => undefined);
      if (list === undefined) return;
      let busyCount = 0;
      for (const container of list.containers) {
        if (container.isRunning || signal.aborted) continue;
        if (tried.has(container.id) || !search.isMeant(container)) continue;
        const isDone = await startOne(container, { ...search, isLast: left === 0 }, operation);
        if (isDone) tried.add(container.id);
        else busyCount += 1;
      }
      if (list.unreachable.length === 0 && busyCount === 0) return;
      if (left > 0) await unlessAborted(pause(ASK_AGAIN_MS), signal).catch(() => undefined);
    }
  }
}

function lateStorage(name: VolumeName): Search {
  return {
    isMeant: ({ volumes }) => volumes.some(({ volume }) => volume === name),
    isWanted: () => true,
    done: "a container was started: a volume's storage had been late",
    failed: "a container could not be started after its storage was late",
    facts: (container) => ({ container: container.name, volume: name }),
  };
}

const unserved: Search = {
  isMeant: () => true,
  isWanted: (failure) => !isRuleRefusal(failure),
  done: "a container was started: its engine had given up on it while Holdfast was away",
  failed: "a container could not be started on which its engine gave up while Holdfast was away",
  facts: ({ name, volumes }) => ({
    container: name,
    volumes: volumes.map(({ volume }) => volume).join(", "),
  }),
};

/** False: its engine is working on it, and it is worth asking again. */
async function startOne(
  container: ListedContainer,
  search: Search & { readonly isLast: boolean },
  operation: Operation,
): Promise<boolean> {
  const { engine, id } = container;
  try {
    const isStarted = await engine.startAgain(id, search.isWanted, operation);
    if (isStarted) operation.log.info(search.done, search.facts(container));
  } catch (error) {
    if (operation.signal.aborted) return true;
    if (!search.isLast && (await engine.isBusyWith(id, operation))) return false;
    const facts = { ...search.facts(container), error: toEngineError(error).message };
    operation.log.warn(search.failed, facts);
  }
  return true;
}
