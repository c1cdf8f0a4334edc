// Starts containers again that their engines could not start, because the storage was late: a
// dockerd that boots before the NAS tries each of them once, whatever its restart policy says.
import { toEngineError } from "../../core/errors.ts";
import type { VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { ContainerLists, ListedContainer } from "../container-lists.ts";
import { pause } from "../pause.ts";

/** How often engines that do not answer are asked: a dockerd that starts containers does not. */
const ASK_COUNT_MAX = 15;
/** The pause between two of these, in milliseconds. */
const ASK_AGAIN_MS = 2_000;

export class LateStarts {
  readonly #lists: Pick<ContainerLists, "ask">;
  /** Volumes that an engine was refused, and whose storage has not answered since. */
  readonly #refused = new Set<VolumeName>();
  #work: Promise<void> = Promise.resolve();

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
    this.#work = this.#work.then(() => this.#startAll(name, operation));
  }

  /** Resolves when nothing of it goes on: after the signals of the answers' operations. */
  async settled(): Promise<void> {
    await this.#work;
  }

  async #startAll(name: VolumeName, operation: Operation): Promise<void> {
    for (let count = 0; count < ASK_COUNT_MAX && !operation.signal.aborted; count++) {
      const { containers, unreachable } = await this.#lists.ask(operation);
      for (const container of containers) {
        if (container.isRunning || operation.signal.aborted) continue;
        if (!container.volumes.some(({ volume }) => volume === name)) continue;
        await startOne(container, name, operation);
      }
      if (unreachable.length === 0) return;
      await pause(ASK_AGAIN_MS);
    }
  }
}

async function startOne(
  { engine, id, name }: ListedContainer,
  volume: VolumeName,
  operation: Operation,
): Promise<void> {
  try {
    if (!(await engine.startAgain(id, operation))) return;
    const facts = { container: name, volume };
    operation.log.info("a container was started: a volume's storage had been late", facts);
  } catch (error) {
    const facts = { container: name, volume, error: toEngineError(error).message };
    operation.log.warn("a container could not be started after its storage was late", facts);
  }
}
