// Whether a Mount may go on, where not everybody may have the volume: asked before a start.
//
// A Mount carries neither container nor read-only flag. The engines' lists say which containers
// could be meant, and their engine which of them it is working on. What cannot be told is let in
// and judged by what the kernel shows right afterwards (sharing-judge.ts), but for a database.
import type { ContainerEngine } from "../../core/container-engine.ts";
import { EngineError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { HolderId, VolumeName } from "../../core/names.ts";
import type { Operation } from "../../core/operation.ts";
import type { VolumeEntry } from "../../core/state-store.ts";
import {
  type ContainerList,
  type ContainerLists,
  containersWith,
  type ListedContainer,
} from "../container-lists.ts";
import { databasesIn, databaseWords } from "../databases/recognised-databases.ts";
import { engineOptions } from "../engine-options.ts";
import type { HoldSettler } from "../holds/hold-settler.ts";
import type { HoldGraces } from "../holds/hold-table.ts";
import {
  type Admission,
  admission,
  type ContainerUse,
  oneWriterRule,
  otherWriters,
} from "./sharing.ts";

/** How long a Mount waits for another container of the volume to come or go. */
const WAIT_MS_MAX = 10_000;

/**
 * So long one only waits for another Mount's container, which takes some 300 ms to appear: asking
 * whom an engine is working on takes a second.
 */
const ASK_AFTER_MS = 500;

/**
 * How long a Mount waits where another one comes at the same time and it cannot be told which of
 * them is whose, in milliseconds: when the first of them is refused, the other one can be told.
 */
const UNSURE_MS_MAX = 3_000;

/** How long a refusal waits for what is in the volume, in milliseconds. */
const RECOGNISE_MS_MAX = 1_000;

export interface AdmissionsParts {
  readonly host: Host;
  readonly lists: ContainerLists;
  readonly settler: Pick<HoldSettler, "look" | "holdsOf">;
  readonly graces: HoldGraces;
  /**
   * Told of each volume that was refused because an engine could not be asked: one that starts up
   * tries each of its containers once.
   */
  readonly unasked: (name: VolumeName) => void;
}

/** One Mount that asks. */
export interface Asker {
  readonly entry: VolumeEntry;
  readonly holder: HolderId;
  /** For how long it has been told to wait. */
  readonly waitedMs: number;
}

/** An error is the refusal. */
export type Way = "free" | "wait" | EngineError;

export interface Asking extends Disposable {
  /**
   * Whether the Mount may go on now, also as a copy-up next to a running container. To be asked
   * with the volume's lease. "wait" comes for 10 s at most.
   */
  ask(asker: Asker, operation: Operation): Promise<Way>;
}

export class Admissions {
  readonly #parts: AdmissionsParts;
  /** How many Mounts ask for a volume now. */
  readonly #counts = new Map<VolumeName, number>();

  constructor(parts: AdmissionsParts) {
    this.#parts = parts;
  }

  /** A Mount has come. It counts until it is disposed of. */
  begin(volume: VolumeName): Asking {
    const add = (change: number): void => {
      const count = (this.#counts.get(volume) ?? 0) + change;
      if (count === 0) this.#counts.delete(volume);
      else this.#counts.set(volume, count);
    };
    add(1);
    return {
      ask: (asker, operation) => this.#ask(asker, operation),
      [Symbol.dispose]: () => add(-1),
    };
  }

  async #ask(asker: Asker, operation: Operation): Promise<Way> {
    const options = engineOptions(asker.entry.options);
    const first = options.sharing === "none" ? await this.#askNone(asker, operation) : "free";
    const rule = oneWriterRule(options);
    const way =
      first === "free" && rule !== undefined
        ? await this.#askWriter(asker, rule, operation)
        : first;
    if (way !== "wait" || asker.waitedMs < WAIT_MS_MAX) return way;
    return sharedElsewhere(asker.entry, rule ?? "sharing=none", undefined);
  }

  #question({ entry, holder }: Asker, operation: Operation): Admission {
    const { settler, lists, graces, host } = this.#parts;
    settler.look(entry.name);
    return {
      holds: settler.holdsOf(entry.name),
      holder,
      isHolderShared: lists.callerOf(operation)?.mountsOnceForAll === true,
      nowMs: host.monotonicMs(),
      startMs: graces.startMs,
    };
  }

  async #askNone(asker: Asker, operation: Operation): Promise<Way> {
    const { lists } = this.#parts;
    const answer = admission(this.#question(asker, operation));
    if (answer === "free" || answer === "wait") return answer;
    const list = await lists.ask(operation);
    const engine = lists.callerOf(operation);
    const others = notUsing(containersWith(list, asker.entry.name), answer);
    if (engine?.isAskableInCalls === true && list.unreachable.length === 0) {
      // One that is being created is in no list yet; one that is being started is.
      if ((await busyOf(ofEngine(others, engine), operation)).length === 0) return "free";
    }
    return sharedElsewhere(asker.entry, "sharing=none", namesOf(answer, list));
  }

  /**
   * One container at a time may write. Costs nothing while nobody else does, and the list of the
   * engines (2 ms) where at most one of the containers that there are could.
   */
  async #askWriter(asker: Asker, rule: string, operation: Operation): Promise<Way> {
    const { lists } = this.#parts;
    const first = otherWriters(this.#question(asker, operation));
    if (first.writers.length === 0 && !first.isUnsettled) return "free";
    const engine = lists.callerOf(operation);
    // Podman, and programs that are no engine: judged afterwards.
    if (engine?.isAskableInCalls !== true) return "free";
    const list = await lists.ask(operation);
    const isSilent = list.unreachable.some(({ key }) => key === engine.key);
    const before = isSilent ? lists.lastAnswerOf(engine) : [];
    const known = { ...list, containers: [...list.containers, ...before] };
    const { writers, isUnsettled } = otherWriters(this.#question(asker, operation));
    if (writers.length === 0 && !isUnsettled) return "free";
    const listed = containersWith(known, asker.entry.name);
    const idle = notUsing(listed, writers).filter((one) => writes(one, asker.entry.name));
    if (isSilent && ofEngine(listed, engine).length === 0) {
      return this.#unknown(asker, rule, { writers, list: known });
    }
    // Whoever of them it is, or none: a copy-up, a container that only reads.
    if (writers.length + idle.length <= 1) return "free";
    if (ofEngine(idle, engine).length === 0) return "free";
    if (isSilent) return this.#unknown(asker, rule, { writers, list: known });
    if (isUnsettled && asker.waitedMs < ASK_AFTER_MS) return "wait";
    return await this.#askBusy(asker, { rule, engine, list, idle }, operation);
  }

  async #askBusy(asker: Asker, question: BusyQuestion, operation: Operation): Promise<Way> {
    const { rule, engine, list } = question;
    const { entry } = asker;
    const asked = question.idle.filter((one) => one.engine.isAskableInCalls);
    const working = await busyOf(asked, operation);
    // After the answers: who is not being started any more is seen by now, or has failed.
    const { writers, isUnsettled } = otherWriters(this.#question(asker, operation));
    const busy = notUsing(working, writers);
    const own = ofEngine(busy, engine);
    if (own.length === 0 || writers.length + busy.length <= 1) return "free";
    if (isUnsettled || writers.length === 0) return "wait";
    // Whoever else is worked on, or comes at the same time, may be whom this Mount is for.
    const readers = listedBeside(list, asker, engine).filter((one) => !writes(one, entry.name));
    const isSure =
      (this.#counts.get(entry.name) ?? 0) <= own.length &&
      (await busyOf(readers, operation)).length === 0;
    if (!isSure && rule !== "database=exclusive") return "free";
    if (!isSure && asker.waitedMs < UNSURE_MS_MAX) return "wait";
    return await this.#refusal(asker, { rule, writers, list }, operation);
  }

  /** An engine that starts up answers nothing: a second server of a database must not come then. */
  #unknown(
    { entry }: Asker,
    rule: string,
    { writers, list }: { readonly writers: readonly ContainerUse[]; readonly list: ContainerList },
  ): Way {
    if (rule !== "database=exclusive") return "free";
    this.#parts.unasked(entry.name);
    return writtenElsewhere(entry, {
      what: `volume ${entry.name} has ${rule}`,
      names: namesOf(writers, list),
      why: NOT_TOLD_YET,
    });
  }

  async #refusal(
    { entry }: Asker,
    { rule, writers, list }: Refused,
    operation: Operation,
  ): Promise<EngineError> {
    const database = rule === "database=exclusive" ? await this.#databaseOf(entry, operation) : "";
    const what = `volume ${entry.name}${database === "" ? "" : ` (${database})`} has ${rule}`;
    return writtenElsewhere(entry, { what, names: namesOf(writers, list), why: "" });
  }

  /** "": it cannot be told in a second. */
  async #databaseOf({ name }: VolumeEntry, operation: Operation): Promise<string> {
    const { settler, host } = this.#parts;
    const hold = settler.holdsOf(name).find(({ uses }) => uses.length > 0);
    if (hold === undefined) return "";
    const signal = AbortSignal.any([operation.signal, AbortSignal.timeout(RECOGNISE_MS_MAX)]);
    const looking = databasesIn(host, hold.path, { ...operation, signal });
    return await looking.then(databaseWords).catch(() => "");
  }
}

interface BusyQuestion {
  readonly rule: string;
  /** Whose Mount it is. */
  readonly engine: ContainerEngine;
  readonly list: ContainerList;
  /** Those of the list that would write, and do not have the volume yet. */
  readonly idle: readonly ListedContainer[];
}

interface Refused {
  readonly rule: string;
  readonly writers: readonly ContainerUse[];
  readonly list: ContainerList;
}

/** Containers that the kernel does not show among these. */
function notUsing(
  listed: readonly ListedContainer[],
  uses: readonly ContainerUse[],
): readonly ListedContainer[] {
  const using = new Set(uses.map(({ container }) => container));
  return listed.filter(({ id }) => !using.has(id));
}

function ofEngine(
  listed: readonly ListedContainer[],
  { key }: ContainerEngine,
): readonly ListedContainer[] {
  return listed.filter(({ engine }) => engine.key === key);
}

function listedBeside(
  list: ContainerList,
  { entry }: Asker,
  engine: ContainerEngine,
): readonly ListedContainer[] {
  return ofEngine(containersWith(list, entry.name), engine).filter(({ isRunning }) => !isRunning);
}

function writes({ volumes }: ListedContainer, name: VolumeName): boolean {
  return volumes.some(({ volume, isReadOnly }) => volume === name && !isReadOnly);
}

/** Those that their engine is working on, as on one that it starts. A second where it is so. */
async function busyOf(
  listed: readonly ListedContainer[],
  operation: Operation,
): Promise<readonly ListedContainer[]> {
  const answers = await Promise.all(
    listed.map(({ engine, id }) => engine.isBusyWith(id, operation)),
  );
  return listed.filter((_, index) => answers[index] === true);
}

/** The names that their engines have for containers, or the beginnings of their ids. */
interface Names {
  readonly ids: readonly string[];
  readonly words: string;
}

function namesOf(uses: readonly ContainerUse[], { containers }: ContainerList): Names {
  const ids = uses.map(({ container }) => container);
  const known = new Map(containers.map(({ id, name }) => [id, name]));
  return { ids, words: ids.map((id) => known.get(id) ?? id.slice(0, 12)).join(", ") };
}

/** `names`: undefined: whoever it is comes or goes. */
function sharedElsewhere(entry: VolumeEntry, rule: string, names: Names | undefined): EngineError {
  const who = names?.words ?? "another container that is just being started or stopped";
  return new EngineError(
    "volume.shared_elsewhere",
    `volume ${entry.name} has ${rule} and is in use by ${who}`,
    { details: { holders: names?.ids ?? [] } },
  );
}

/** Behind a refusal that does not stand: asked again, the engine says. */
const NOT_TOLD_YET = ", and the container engine does not say yet whether this one would write too";

/** As the two refusals word it, behind what an engine puts in front. */
const ruleWords = /(?:^|: )volume \S+(?: \([^)]*\))? has (?:sharing|database)=\w+,? and /;

/**
 * Whether these words of an engine are of a Mount that was refused because somebody else has the
 * volume, as its options demand: nothing was late or broken.
 */
export function isRuleRefusal(words: string): boolean {
  return ruleWords.test(words) && !words.includes(NOT_TOLD_YET);
}

function writtenElsewhere(
  { name }: VolumeEntry,
  { what, names, why }: { readonly what: string; readonly names: Names; readonly why: string },
): EngineError {
  const who = names.words === "" ? "another container is just being started" : names.words;
  const text = names.words === "" ? who : `${who} has it read-write`;
  return new EngineError("volume.written_elsewhere", `${what}, and ${text}${why}`, {
    details: { volume: name, holders: names.ids },
  });
}
