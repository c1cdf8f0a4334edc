// Verbs on a volume of a share that holds data, with the daemon killed at a given step of each, and
// what must be true after the next start.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DriverOptions } from "../../src/core/driver.ts";
import { eventually } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import { type Death, Deaths } from "../support/dying-daemon.ts";
import type { Random } from "../support/random.ts";
import { addedOnServer, mustSettle } from "./survive-checks.ts";
import type { TroubledServer } from "./survive-servers.ts";
import { openStage, own, type SurviveStage } from "./survive-stage.ts";

/** How long a purge that was cut short may take to be finished. */
const purgeMs = 20_000;

/** Fewer than most verbs have. */
const stepsDrawn = 12;

/** The volume is all that is served, a directory that was there before, or one that it makes. */
export const kinds = ["adopted", "found", "made"] as const;
export type Kind = (typeof kinds)[number];

type Place = "wiki" | "book" | "trash" | "gone";

interface Case {
  readonly stage: SurviveStage;
  readonly kind: Kind;
}

export interface Verb {
  readonly name: string;
  /** From "wiki", which is there and idle, and has its page. */
  readonly prepare?: (at: Case) => Promise<void>;
  readonly act: (at: Case) => Promise<unknown>;
  /** Where the volume may be afterwards. */
  readonly places: readonly Place[];
}

const remove = ({ stage }: Case): Promise<unknown> => stage.done("DELETE", "/volumes/wiki");

export const verbs: readonly Verb[] = [
  { name: "create", prepare: destroyAll, act: createWiki, places: ["wiki", "gone"] },
  { name: "mount", act: ({ stage }) => stage.hold("wiki"), places: ["wiki"] },
  {
    name: "unmount",
    prepare: async ({ stage }) => void (await stage.hold("wiki")),
    act: ({ stage }) => stage.release("wiki"),
    places: ["wiki"],
  },
  { name: "rm", act: remove, places: ["wiki", "trash"] },
  {
    name: "restore",
    prepare: async (at) => void (await remove(at)),
    act: ({ stage }) => stage.done("POST", own("trash/wiki/restore"), {}),
    places: ["wiki", "trash"],
  },
  {
    name: "purge",
    prepare: async (at) => void (await remove(at)),
    act: (at) => purge(at, "wiki"),
    places: ["trash", "gone"],
  },
  {
    name: "update",
    act: ({ stage }) => stage.done("PATCH", own("volumes/wiki"), { optionsSet: { umask: "027" } }),
    places: ["wiki"],
  },
  {
    name: "rename",
    act: ({ stage }) => stage.done("POST", own("volumes/wiki/rename"), { to: "book" }),
    places: ["wiki", "book"],
  },
];

const page = "what a reader has written\n".repeat(100);
/** Where the page is on the server. */
const pageOf: Readonly<Record<Kind, string>> = {
  adopted: "page",
  found: "photos/page",
  made: "wiki/page",
};
const optionsOf: Readonly<Record<Kind, DriverOptions>> = {
  adopted: {},
  found: { subpath: "photos" },
  made: { subpath: "wiki" },
};
/** A directory without a record, from a create that died between making it and the record. */
const unrecorded = [".holdfast-wiki", "wiki"] as const;

/** Kills the daemon in verbs of one driver, again and again; disposing of it cleans up. */
export interface StepRun extends AsyncDisposable {
  /** Throws what is wrong after it. Answers the steps up to the death; false: it outlived all. */
  die(verb: Verb, kind: Kind, death: Death): Promise<readonly string[] | false>;
  readonly stage: SurviveStage;
}

export async function openStepRun(driver: TroubledServer["driver"]): Promise<StepRun> {
  const folder = temporaryDirectory();
  mkdirSync(join(folder, "dying"));
  const deaths = new Deaths(join(folder, "dying"));
  const stage = await openStage(driver, { folder, environment: deaths.environment });
  return {
    stage,
    async die(verb, kind, death) {
      const at: Case = { stage, kind };
      await createWiki(at);
      writeFileSync(join(stage.server.served, pageOf[kind]), page);
      await verb.prepare?.(at);
      deaths.order(death);
      const outcome = await verb.act(at).then(
        () => "done",
        (thrown: unknown) => thrown,
      );
      const { steps } = deaths;
      deaths.cancel();
      const hasOutlived = steps.length < death.at;
      if (hasOutlived && outcome !== "done") throw outcome;
      try {
        await stage.daemon().kill();
        await stage.startDaemon();
        await check(at, verb);
        await destroyAll(at);
        rmSync(join(stage.server.served, pageOf[kind]), { force: true });
      } catch (error) {
        const what = `${verb.name} (${kind}), dead ${death.moment} step ${death.at}`;
        throw new Error([`${what}: ${String(error)}`, ...steps].join("\n  "), { cause: error });
      }
      return hasOutlived ? false : steps;
    },
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  };
}

async function createWiki({ stage, kind }: Case): Promise<void> {
  const { status, json } = await stage.create("wiki", { trash: "7d", ...optionsOf[kind] });
  if (status !== 201) throw new Error(`create: ${status} ${JSON.stringify(json)}`);
}

async function purge({ stage }: Case, name: string): Promise<void> {
  await stage.done("DELETE", own(`trash/${name}?confirm=${name}&wait=true`));
}

async function placesOf({ stage }: Case): Promise<readonly Place[]> {
  const isThere = async (path: string) => (await stage.send("GET", own(path))).status === 200;
  const found: Place[] = [];
  if (await isThere("volumes/wiki")) found.push("wiki");
  if (await isThere("volumes/book")) found.push("book");
  if (await isThere("trash/wiki")) found.push("trash");
  return found.length === 0 ? ["gone"] : found;
}

async function check(at: Case, verb: Verb): Promise<void> {
  const { stage, kind } = at;
  await mustSettle(stage, (await isHeld(stage)) ? ["wiki"] : []);
  const places = await placesOf(at);
  const [place = "gone"] = places;
  if (places.length > 1 || !verb.places.includes(place)) throw new Error(`it is ${places.join()}`);
  const { served } = stage.server;
  if (verb.name === "create") removeUnrecorded(at, place);
  else if (verb.name !== "purge") mustHavePage(join(served, pageOf[kind]));
  if (place === "gone" || place === "trash") return;
  // Whole or not there: what is there can be used.
  const path = await stage.hold(place);
  if (verb.name !== "create") mustHavePage(join(path, "page"));
  writeFileSync(join(path, "more"), "more");
  await stage.release(place);
  const more = join(served, pageOf[kind].replace("page", "more"));
  if (readFileSync(more, "utf8") !== "more") throw new Error("what was written is not there");
  rmSync(more);
}

/** Nobody's, because nobody knows who made it; a create of the same adopts it. */
function removeUnrecorded({ stage }: Case, place: Place): void {
  if (place !== "gone") return;
  for (const name of unrecorded) {
    rmSync(join(stage.server.served, name), { recursive: true, force: true });
  }
}

async function isHeld(stage: SurviveStage): Promise<boolean> {
  const { json } = await stage.send("GET", own("volumes/wiki"));
  return Array.isArray(json["holders"]) && json["holders"].length > 0;
}

function mustHavePage(file: string): void {
  if (!existsSync(file)) throw new Error(`${file} is gone`);
  if (readFileSync(file, "utf8") !== page) throw new Error(`${file} is another`);
}

/** The volume and its trash; what it made on the server goes with it, and nothing else. */
async function destroyAll(at: Case): Promise<void> {
  const { stage, kind } = at;
  for (const name of ["wiki", "book"]) {
    if ((await stage.send("GET", own(`volumes/${name}`))).status !== 200) continue;
    await stage.release(name);
    await stage.done("DELETE", `/volumes/${name}`);
    await purge(at, name);
  }
  if ((await placesOf(at)).includes("trash")) await purge(at, "wiki");
  await eventually(
    () => (addedOnServer(stage).every((name) => name === pageOf.adopted) ? true : undefined),
    { timeoutMs: purgeMs, otherwise: () => `${kind}: left: ${addedOnServer(stage).join()}` },
  );
  await mustSettle(stage, []);
}

/** Has the daemon die once in each of the verbs, at a step and a moment that are drawn. */
export async function dieByChance(
  driver: TroubledServer["driver"],
  random: Random,
  chosen: readonly Verb[],
): Promise<void> {
  await using run = await openStepRun(driver);
  for (const verb of chosen) {
    for (let limit = stepsDrawn; limit > 0; ) {
      const at = 1 + random.below(limit);
      const moment = random.pick(["before", "after"] as const);
      const kind = random.pick(kinds);
      if ((await run.die(verb, kind, { at, moment })) !== false) break;
      // It has fewer steps.
      limit = at - 1;
    }
  }
}
