// One verb on one volume, with the engine dying at a given step of it, and what must be true then.
//
// The volume has labels, a note, an alias and several files. After a death and a start it is in
// exactly one place, whole: under a name that it may have, or in the trash, where it can be
// restored. Only what was to be destroyed may be gone, or be offered no longer. The same where the
// state is lost too.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parseHolderId, parseVolumeName, type TrashId } from "../../src/core/names.ts";
import type { RetiredEntry, VolumeEntry } from "../../src/core/state-store.ts";
import { eventually } from "../support/child.ts";
import { create, EngineBench, type EngineBenchParts } from "../support/engine-bench.ts";
import { Mortal } from "./mortal.ts";

const backgroundMs = 5_000;
const secondMs = 1_000;
const hourMs = 3_600_000;
/** More steps than any verb has. */
const stepsMax = 200;

const labels = { of: "wiki", ключ: "\u2028" };
const note = "what must not be lost";
const alias = parseVolumeName("wiki-before");
/** Relative to `_data`. */
const files: Readonly<Record<string, string>> = {
  a: "content of a",
  "below/b": "content of b",
  "below/c": "content of c",
};

export interface Scenario {
  readonly verb: string;
  readonly trash?: NonNullable<EngineBenchParts["trash"]>;
  /** Brings "wiki", which is there, to where the verb begins. */
  readonly prepare?: (stage: Stage) => Promise<void>;
  /** Resolves when the verb is done, the background's part too. */
  readonly act: (stage: Stage) => Promise<void>;
  /** Under which names the volume may be, before or after the verb. */
  readonly volumeNames: readonly string[];
  readonly mayBeInTrash: boolean;
  readonly mayBeGone: boolean;
  /** Where it is when the verb has been acknowledged. */
  readonly after: (place: Place) => boolean;
}

/** Where the volume was found. */
export type Place =
  | { readonly kind: "volume"; readonly name: string }
  | { readonly kind: "trash"; readonly id: TrashId }
  | { readonly kind: "gone" };

/** What a scenario works with. */
export class Stage {
  readonly bench: EngineBench;
  readonly #mortal: Mortal | undefined;
  #isDone = false;

  constructor(bench: EngineBench, mortal: Mortal | undefined) {
    this.bench = bench;
    this.#mortal = mortal;
  }

  /** The verb has been acknowledged: what follows is the background's. */
  done(): void {
    this.#isDone = true;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  async remove(name = "wiki", purge = false): Promise<void> {
    await this.bench.engine.volumes.remove(name, this.bench.operation(), { purge });
  }

  async restore(as: string | undefined): Promise<void> {
    const { bench } = this;
    await bench.engine.trash.restore(this.trashId(), as, bench.operation());
  }

  trashId(): TrashId {
    const [entry] = this.entries();
    if (entry === undefined) throw new Error("nothing is in the trash");
    return entry.id;
  }

  /** What is in the trash was removed an hour ago. */
  async age(): Promise<void> {
    await this.bench.state.write((transaction) => {
      for (const entry of transaction.retired()) {
        transaction.putRetired({ ...entry, retiredAtMs: entry.retiredAtMs - hourMs });
      }
    });
  }

  entries(): readonly RetiredEntry[] {
    return this.bench.state.read((view) => [...view.retired()]);
  }

  /** Resolves also when the engine has died meanwhile. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    await eventually(() => (this.#mortal?.isDead === true || isSo() ? true : undefined), {
      timeoutMs: backgroundMs,
      otherwise: () => `${what} does not happen: ${JSON.stringify(this.bench.log.slice(-5))}`,
    });
  }

  get trash(): string {
    return join(this.bench.root, "trash");
  }
}

/** Dies at each step of the verb, one life after the other; answers all steps. */
export async function dieAtEachStep(
  scenario: Scenario,
  isStateLost: boolean,
): Promise<readonly string[]> {
  for (let step = 0; step < stepsMax; step++) {
    const steps = await dieAt(scenario, step, isStateLost);
    if (steps.length <= step) return steps;
  }
  throw new Error(`${scenario.verb} does not end`);
}

/** Throws what is wrong after it. Answers the steps up to that at which it died. */
async function dieAt(
  scenario: Scenario,
  step: number,
  isStateLost: boolean,
): Promise<readonly string[]> {
  using mortal = new Mortal();
  await using bench = new EngineBench({
    drivers: (each) => [each.local()],
    trash: { startTimer: soon, ...scenario.trash },
    state: (state) => mortal.state(state),
    host: (host) => ({ ...mortal.host(host, destroyHalf), nowMs: Date.now }),
  });
  const stage = new Stage(bench, mortal);
  await bench.start();
  await fillWiki(bench);
  await scenario.prepare?.(stage);
  mortal.watch(bench.root);
  mortal.dieAfter(step);
  try {
    await scenario.act(stage);
    if (!mortal.isDead) stage.done();
  } catch (error) {
    if (!mortal.isDead) throw error;
  }
  const steps = [...mortal.steps];
  await bench.restart(() => {
    mortal.dieAfter(undefined);
    if (isStateLost) loseState(bench);
  });
  try {
    const place = await settled(stage);
    check(scenario, place, stage.isDone && !isStateLost);
    // Only what lies in the trash says itself what it is.
    if (place.kind === "volume" && !isStateLost) mustHaveAlias(stage, place.name);
    if (place.kind === "trash") await restoreAll(stage, place.id, isStateLost);
  } catch (error) {
    const what = `${scenario.verb}, dead before step ${step}${isStateLost ? ", state lost" : ""}`;
    throw new Error([`${what}: ${String(error)}`, ...steps].join("\n  "), { cause: error });
  }
  return steps;
}

/**
 * An acknowledged removal whose rename a power cut has taken, while the description, which was put
 * beside the data just before, has survived it. Answers where the volume is after the start.
 */
export async function loseRename(): Promise<Place> {
  await using bench = new EngineBench({
    drivers: (each) => [each.local()],
    // The row is written down before the directory is touched, on a slow disk much earlier.
    host: (host) => ({ ...host, nowMs: () => Date.now() - secondMs }),
  });
  const stage = new Stage(bench, undefined);
  await bench.start();
  await fillWiki(bench);
  await stage.remove();
  const directory = bench.volumePath("wiki");
  const [id] = readdirSync(stage.trash);
  await bench.restart(() => {
    renameSync(join(stage.trash, id ?? ""), directory);
    const description = readFileSync(join(directory, "retired.json"));
    rmSync(join(directory, "retired.json"));
    writeFileSync(join(directory, "retired.json"), description);
  });
  const place = await settled(stage);
  if (place.kind === "trash") await restoreAll(stage, place.id, false);
  return place;
}

/** The keeper gathers for a second before it looks: here it has nothing to wait for. */
function soon(delayMs: number, fire: () => void): () => void {
  const timer = setTimeout(fire, delayMs > secondMs ? delayMs : 0);
  timer.unref();
  return () => clearTimeout(timer);
}

async function fillWiki(bench: EngineBench): Promise<void> {
  await create(bench, { name: alias, options: { trash: "30d" }, labels });
  await bench.engine.upkeep.rename(alias, "wiki", { keepAlias: true }, bench.operation());
  const change = { labelsSet: {}, labelsRemoved: [], note, optionsSet: {}, optionsRemoved: [] };
  await bench.engine.upkeep.update("wiki", change, bench.operation());
  const data = join(bench.volumePath("wiki"), "_data");
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(data, name)), { recursive: true });
    writeFileSync(join(data, name), content);
  }
}

function loseState(bench: EngineBench): void {
  const folder = dirname(bench.root);
  for (const name of readdirSync(folder)) {
    if (name.startsWith("state.")) rmSync(join(folder, name), { recursive: true });
  }
}

/** What `rm` has done of its work when it is killed with its daemon. */
function destroyHalf(program: string, words: readonly string[]): void {
  if (program !== "rm" && !words.includes("rm")) return;
  for (const word of words) {
    if (word.startsWith("/")) rmSync(join(word, "_data/a"), { force: true });
  }
}

/** Where the volume is when the background has ended what was begun; it is in one place only. */
async function settled(stage: Stage): Promise<Place> {
  const { bench } = stage;
  await stage.until("the end of what is being purged", () => {
    const isPurging = stage.entries().some(({ phase }) => phase === "purging");
    return !isPurging && !readdirSync(stage.trash).some((name) => name.endsWith(".purging"));
  });
  const rows = bench.state.read((view) => [...view.volumes()]).filter(isWiki(bench));
  const entries = stage.entries().filter(({ id }) => isWikiAt(join(stage.trash, id)));
  const places: Place[] = [
    ...rows.map(({ name }) => ({ kind: "volume", name }) as const),
    ...entries.map(({ id }) => ({ kind: "trash", id }) as const),
  ];
  const [place = { kind: "gone" }, ...more] = places;
  if (more.length > 0) throw new Error(`it is in several places: ${JSON.stringify(places)}`);
  const named = new Set(bench.state.read((view) => [...view.volumes()].map(({ name }) => name)));
  const ids = new Set<string>(stage.entries().map(({ id }) => id));
  for (const name of readdirSync(join(bench.root, "volumes"))) {
    if (!named.has(parseVolumeName(name))) throw new Error(`volumes/${name} has no row`);
  }
  for (const name of readdirSync(stage.trash)) {
    if (!ids.has(name)) throw new Error(`trash/${name} has no row`);
  }
  for (const { name } of rows) {
    mustBeWhole(bench.volumePath(name));
    await bench.engine.volumes.mount(name, parseHolderId("looker"), bench.operation());
    mustBeClean(bench.volumePath(name));
  }
  for (const { id } of entries) mustBeWhole(join(stage.trash, id));
  return place;
}

const isWiki =
  (bench: EngineBench) =>
  (entry: VolumeEntry): boolean =>
    isWikiAt(bench.volumePath(entry.name));

/** By any of its files: what is half destroyed is it, too. */
function isWikiAt(directory: string): boolean {
  return Object.keys(files).some((name) => existsSync(join(directory, "_data", name)));
}

function mustBeWhole(directory: string): void {
  const found = Object.fromEntries(
    Object.keys(files).map((name) => {
      const file = join(directory, "_data", name);
      return [name, existsSync(file) ? readFileSync(file, "utf8") : "is gone"];
    }),
  );
  if (isDeepStrictEqual(found, files)) return;
  throw new Error(`${directory} is not whole: ${JSON.stringify(found)}`);
}

/** Nothing of a removal is left in a volume that is used, whatever was cut short. */
function mustBeClean(directory: string): void {
  const left = readdirSync(directory).filter((name) => name !== "_data");
  if (left.length > 0) throw new Error(`${left.join()} is left in ${directory}`);
}

function mustHaveAlias({ bench }: Stage, name: string): void {
  const meant = bench.state.read((view) => view.alias(alias)?.volume);
  if (meant !== parseVolumeName(name)) throw new Error(`${alias} means ${meant}, not ${name}`);
}

function check(scenario: Scenario, place: Place, isAcknowledged: boolean): void {
  const { volumeNames, mayBeInTrash, mayBeGone, after } = scenario;
  const told = JSON.stringify(place);
  const isAllowed =
    (place.kind === "volume" && volumeNames.includes(place.name)) ||
    (place.kind === "trash" && mayBeInTrash) ||
    (place.kind === "gone" && mayBeGone);
  if (!isAllowed) throw new Error(`found ${told}`);
  if (isAcknowledged && !after(place)) throw new Error(`it was acknowledged, and found ${told}`);
}

/** It comes back with all that it had. */
async function restoreAll(stage: Stage, id: TrashId, isStateLost: boolean): Promise<void> {
  const { bench } = stage;
  const entry = await bench.engine.trash.restore(id, "back", bench.operation());
  mustBeWhole(bench.volumePath("back"));
  const found = { labels: entry.labels, note: entry.note, options: entry.options };
  const wanted = { labels, note, options: { trash: "30d" } };
  if (!isDeepStrictEqual(found, wanted)) {
    const how = isStateLost ? "from its description" : "from its row";
    throw new Error(`restored ${how}: ${JSON.stringify(found)}`);
  }
  mustBeClean(bench.volumePath("back"));
  mustHaveAlias(stage, "back");
}
