// What the clients were told, and what may therefore be found after a crash.
//
// Every client owns its names, so what it was told about them has one order. At most one request of
// a client is unanswered when the daemon dies; that one may have happened or not, but not by half.
import { isDeepStrictEqual } from "node:util";
import type { Volume } from "./client.ts";
import { aliasesOf, isSameWorld, type Known, keyOf, nothing, type World } from "./world.ts";

/** What a create asked for. */
export interface Wanted {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
}

/** A request that was sent and not answered yet. */
export interface Unanswered {
  readonly what: string;
  /** All that it may have made, given what was found. */
  readonly outcomes: (found: World) => readonly World[];
}

export class ClientModel {
  readonly owner: string;
  readonly names: readonly string[];
  world: World = nothing;
  unanswered: Unanswered | undefined;
  /** What was destroyed for good since the last comparison. */
  #destroyed: readonly Known[] = [];
  /** Changes that were acknowledged. */
  acknowledgedCount = 0;
  /** The same by verb. */
  readonly acknowledged = new Map<string, number>();

  constructor(owner: string, nameCount: number) {
    this.owner = owner;
    this.names = Array.from({ length: nameCount }, (_, index) => `${owner}-volume-${index}`);
  }

  /** As it is now; what the client goes on to learn does not change it. */
  copy(): ClientModel {
    const copy = new ClientModel(this.owner, this.names.length);
    copy.world = this.world;
    copy.#destroyed = this.#destroyed;
    copy.unanswered = this.unanswered;
    copy.acknowledgedCount = this.acknowledgedCount;
    for (const [verb, count] of this.acknowledged) copy.acknowledged.set(verb, count);
    return copy;
  }

  /** To be called before a request is sent: what it makes when it succeeds. */
  asks(what: string, ...outcomes: readonly World[]): void {
    this.unanswered = { what, outcomes: () => outcomes };
  }

  /** The request was answered: this is what there is. */
  learns(world: World): void {
    const verb = this.unanswered?.what.split(" ")[0] ?? "";
    this.acknowledged.set(verb, (this.acknowledged.get(verb) ?? 0) + 1);
    this.acknowledgedCount += 1;
    this.#destroyed = [...this.#destroyed, ...destroyedBetween(this.world, world)];
    this.world = world;
    this.unanswered = undefined;
  }

  /** Whether what was found is what was acknowledged, with or without the last request. */
  allows(found: World): boolean {
    const outcomes = this.unanswered?.outcomes(found) ?? [];
    return [this.world, ...outcomes].some((outcome) => isSameWorld(outcome, found));
  }

  /**
   * The same after a power cut: what was to be destroyed at once may be whole again, where the cut
   * has taken the move out of sight before anything was destroyed. Nobody loses by that.
   */
  allowsAfterCut(found: World): boolean {
    const isBack = (known: Known) => this.#destroyed.some((one) => isDeepStrictEqual(one, known));
    const volumes = new Map([...found.volumes].filter(([, known]) => !isBack(known)));
    const isKnown = (meant: string) => volumes.has(meant) || !found.volumes.has(meant);
    const aliases = new Map([...found.aliases].filter(([, meant]) => isKnown(meant)));
    return this.allows(found) || this.allows({ ...found, volumes, aliases });
  }

  /** After a crash: what was found is what is known from now on. */
  settle(found: World): void {
    this.world = found;
    this.unanswered = undefined;
    this.#destroyed = [];
  }
}

/** Volumes that are neither listed nor in the trash any more. */
function destroyedBetween(before: World, after: World): readonly Known[] {
  const isLess = sizeOf(after) < sizeOf(before);
  if (!isLess) return [];
  const inTrash = new Set(after.trash.map(keyOf));
  const gone = [...before.volumes.values()].filter(({ volume }) => !after.volumes.has(volume.Name));
  return gone.filter((known) => {
    return !inTrash.has(keyOf({ ...known, aliases: aliasesOf(before, known.volume.Name) }));
  });
}

function sizeOf({ volumes, trash }: World): number {
  return volumes.size + trash.length;
}

/** How often each verb was acknowledged, over all clients. */
export function verbCounts(models: readonly ClientModel[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { acknowledged } of models) {
    for (const [verb, count] of acknowledged) counts[verb] = (counts[verb] ?? 0) + count;
  }
  return counts;
}

/** Wholly as it was asked for: a volume without its labels is half made. */
export function isAsWanted(volume: Volume, wanted: Wanted, sentAtMs: number): boolean {
  const createdAtMs = Date.parse(volume.CreatedAt);
  return (
    isDeepStrictEqual(volume.Labels, wanted.labels) &&
    isDeepStrictEqual(volume.Options, wanted.options) &&
    createdAtMs >= sentAtMs - secondMs &&
    createdAtMs <= Date.now()
  );
}

/** Docker's creation time has whole seconds. */
const secondMs = 1_000;
