// Asks the container engines which containers have our volumes, and remembers which engines exist.
import type {
  ContainerEngine,
  ContainerEngineFinder,
  EngineContainer,
} from "../core/container-engine.ts";
import { EngineError, toEngineError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { type Operation, unfired } from "../core/operation.ts";
import type { StateStore } from "../core/state-store.ts";
import { resolved } from "./aliases.ts";
import { nobodysServices, ServiceList } from "./service-list.ts";

/** How many engines are remembered: a machine has one or two. Further ones are refused. */
const ENGINE_COUNT_MAX = 64;

/** How many names of containers are kept. */
const NAME_COUNT_MAX = 4_096;
/** As Docker shows ids. */
const SHORT_ID_CHARACTERS = 12;

export interface ListedContainer extends EngineContainer {
  readonly engine: ContainerEngine;
  /** Aliases that the container knows volumes by; `volumes` has their real names. */
  readonly aliases: readonly string[];
}

/** An engine that did not answer, by its key. */
export interface SilentEngine {
  readonly key: string;
  readonly reason: string;
}

/** What all engines that are known said at one moment. */
export interface ContainerList {
  readonly containers: readonly ListedContainer[];
  /** Engines that did not answer: what they have is not known. */
  readonly unreachable: readonly SilentEngine[];
}

export interface ContainerListsParts {
  readonly state: StateStore;
  readonly finder: ContainerEngineFinder;
  readonly host: Pick<Host, "nowMs">;
}

const nothing: ContainerList = { containers: [], unreachable: [] };

export class ContainerLists {
  readonly #parts: ContainerListsParts;
  #running: Promise<ContainerList> = Promise.resolve(nothing);
  #next: Promise<ContainerList> | undefined;
  #latest: ContainerList = nothing;
  /** What each engine listed when it was last asked and answered. */
  readonly #answers = new Map<string, readonly ListedContainer[]>();
  #services: Promise<ServiceList> = Promise.resolve(nobodysServices);
  #nextServices: Promise<ServiceList> | undefined;
  /** Of containers that were listed, the ones listed last at the end. */
  readonly #names = new Map<string, string>();
  /** Containers per volume in `#latest`. */
  #counts: ReadonlyMap<string, number> = new Map();

  constructor(parts: ContainerListsParts) {
    this.#parts = parts;
  }

  /** What the last question was answered, however long ago. Asks nobody. */
  get latest(): ContainerList {
    return this.#latest;
  }

  /** What an engine listed when it last answered, however long ago. Asks nobody. */
  lastAnswerOf({ key }: ContainerEngine): readonly ListedContainer[] {
    return this.#answers.get(key) ?? [];
  }

  /** Keys of the engines that ever used the driver socket, in the order of their first contact. */
  get keys(): readonly string[] {
    return this.#parts.state.read((view) => [...view.engines()].map(({ key }) => key));
  }

  /** Which engine an operation comes from; undefined: none that is known as one. */
  callerOf(operation: Operation): ContainerEngine | undefined {
    return this.#parts.finder.ofCaller(operation.caller);
  }

  /**
   * Remembers the caller's engine, durably, before it gets any answer: it may have containers with
   * our volumes from now on. Costs nothing when it is known.
   */
  async noteCaller(operation: Operation): Promise<void> {
    const engine = this.callerOf(operation);
    if (engine !== undefined) await this.#note(engine, operation);
  }

  /** Remembers the engines that run now and may have our volumes: after a state that was lost. */
  async noteRunning(operation: Operation): Promise<void> {
    for (const engine of this.#parts.finder.running()) await this.#note(engine, operation);
  }

  async #note(engine: ContainerEngine, operation: Operation): Promise<void> {
    const { state, host } = this.#parts;
    const known = this.keys;
    if (known.includes(engine.key)) return;
    if (known.length >= ENGINE_COUNT_MAX) {
      throw new EngineError(
        "engine.overloaded",
        `${known.length} container engines are known, and ${engine.key} would be one too many: ` +
          "forget those that are gone with `holdfast engine forget`",
        { details: { engine: engine.key } },
      );
    }
    operation.log.info("a container engine uses the volume driver socket", { engine: engine.key });
    await state.write((transaction) =>
      transaction.putEngine({ key: engine.key, sinceMs: host.nowMs() }),
    );
  }

  /** Forgets an engine that is gone for good. False when it is not known. */
  async forget(key: string): Promise<boolean> {
    if (!this.keys.includes(key)) return false;
    this.#answers.delete(key);
    await this.#parts.state.write((transaction) => transaction.removeEngine(key));
    return true;
  }

  /**
   * What the engines say now: the question is put after this call. Many who ask at once share one.
   * An engine that waits for the answer to this very operation, and can be asked nothing
   * meanwhile, is left out. Never rejects: who does not answer stands in `unreachable`.
   */
  ask(operation: Operation): Promise<ContainerList> {
    const keys = this.keys;
    const caller = this.callerOf(operation);
    if (caller?.isAskableInCalls === false && keys.includes(caller.key)) {
      const others = keys.filter((key) => key !== caller.key);
      return this.#askAll(others, operation);
    }
    if (keys.length === 0) return Promise.resolve(nothing);
    this.#next ??= this.#running.then(async () => {
      this.#next = undefined;
      this.#running = this.#askAll(this.keys, operation);
      this.#latest = await this.#running;
      this.#counts = countByVolume(this.#latest);
      this.#noteNames(this.#latest);
      return this.#latest;
    });
    return this.#next;
  }

  /**
   * The Swarm services that there are now: the question is put after this call, and many who ask at
   * once share one. Never rejects, as `ask`.
   */
  services(operation: Operation): Promise<ServiceList> {
    if (this.keys.length === 0) return Promise.resolve(nobodysServices);
    this.#nextServices ??= this.#services.then(() => {
      this.#nextServices = undefined;
      this.#services = this.#askServices(operation);
      return this.#services;
    });
    return this.#nextServices;
  }

  /** Whether all engines that are known answer at once, whatever else they do. */
  get areSwift(): boolean {
    const { finder } = this.#parts;
    return this.keys.every((key) => finder.ofKey(key)?.isAskableInCalls === true);
  }

  /** What its engine called a container that may be gone; undefined: no answer has named it. */
  nameOf(id: string): string | undefined {
    return this.#names.get(id);
  }

  /** For people: what its engine called it, or the beginning of its id. */
  shownName(id: string): string {
    return this.#names.get(id) ?? id.slice(0, SHORT_ID_CHARACTERS);
  }

  #noteNames({ containers }: ContainerList): void {
    for (const { id, name } of containers) {
      this.#names.delete(id);
      this.#names.set(id, name);
    }
    for (const id of this.#names.keys()) {
      if (this.#names.size <= NAME_COUNT_MAX) return;
      this.#names.delete(id);
    }
  }

  /** How many containers had the volume, running or not, by the latest answers. */
  latestCountOf(volume: string): number {
    return this.#counts.get(volume) ?? 0;
  }

  async #askAll(keys: readonly string[], operation: Operation): Promise<ContainerList> {
    const ask = async (engine: ContainerEngine, own: Operation): Promise<ListedContainer[]> => {
      const answer = await engine.containers(own);
      const listed = answer.map((container) => this.#listed(container, engine));
      this.#answers.set(engine.key, listed);
      return listed;
    };
    const { answers, unreachable } = await this.#askEach(keys, ask, operation);
    return { containers: answers, unreachable };
  }

  /** From here on there are only real names. */
  #listed(container: EngineContainer, engine: ContainerEngine): ListedContainer {
    const { volumes } = container;
    return this.#parts.state.read((view) => {
      const aliases = volumes.flatMap(({ volume }) => view.alias(volume)?.alias ?? []);
      if (aliases.length === 0) return { ...container, engine, aliases };
      const real = volumes.map((one) => ({ ...one, volume: resolved(view, one.volume) }));
      return { ...container, volumes: real, engine, aliases };
    });
  }

  async #askServices(operation: Operation): Promise<ServiceList> {
    const ask = (engine: ContainerEngine, own: Operation) => engine.services(own);
    const { answers, unreachable } = await this.#askEach(this.keys, ask, operation);
    const aliases = this.#parts.state.read((view) => [...view.aliases()]);
    return new ServiceList({ services: answers, unreachable, aliases });
  }

  async #askEach<T>(
    keys: readonly string[],
    ask: (engine: ContainerEngine, operation: Operation) => Promise<readonly T[]>,
    operation: Operation,
  ): Promise<{ readonly answers: readonly T[]; readonly unreachable: readonly SilentEngine[] }> {
    const { finder } = this.#parts;
    const answers: T[] = [];
    const unreachable: SilentEngine[] = [];
    // Whoever asked first may go away: the answer is for all who wait.
    const own = unfired(operation);
    const askOne = async (key: string): Promise<void> => {
      const engine = finder.ofKey(key);
      if (engine === undefined) {
        unreachable.push({ key, reason: "this Holdfast does not know such an engine" });
        return;
      }
      try {
        answers.push(...(await ask(engine, own)));
      } catch (error) {
        unreachable.push({ key, reason: toEngineError(error).message });
      }
    };
    await Promise.all(keys.map(askOne));
    return { answers, unreachable };
  }
}

/** The containers of a list that have a volume, running or not. */
export function containersWith(list: ContainerList, volume: string): readonly ListedContainer[] {
  return list.containers.filter((container) =>
    container.volumes.some((one) => one.volume === volume),
  );
}

function countByVolume({ containers }: ContainerList): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { volumes } of containers) {
    for (const volume of new Set(volumes.map((one) => one.volume))) {
      counts.set(volume, (counts.get(volume) ?? 0) + 1);
    }
  }
  return counts;
}
