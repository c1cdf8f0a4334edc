// Whether a history is one that the rules allow: the search of Wing and Gong, which Lowe made fast.
//
// Each event happened at one moment within its time. A history is right if the events can be put in
// one order that no time contradicts and that the rules allow step by step. The search goes deep
// first and remembers where it has been (what was placed, and the state): Lowe, "Testing for
// linearizability", 2017. Events that may not have happened, with a deadline, are our addition.

export interface Timed<Event> {
  readonly event: Event;
  readonly fromMs: number;
  /** Infinity: no end is known. */
  readonly untilMs: number;
  /** It may not have happened at all. */
  readonly isOptional: boolean;
}

export interface Rules<State, Event> {
  readonly start: State;
  /** undefined: this cannot happen now. */
  after(state: State, event: Event): State | undefined;
  /** The same text for the same state. */
  keyOf(state: State): string;
}

/** `order` is one that explains it; of a wrong history it is the longest beginning that was found. */
export interface Linearised<Event> {
  readonly verdict: "right" | "wrong" | "undecided";
  readonly order: readonly Timed<Event>[];
  /** What could have come next, of a wrong one: none of it is allowed. */
  readonly stuckAt: readonly Timed<Event>[];
}

interface Node<State> {
  readonly state: State;
  readonly done: bigint;
  /** Of all that is placed, the latest begin: nothing that had ended by then may follow. */
  readonly latestFromMs: number;
  readonly children: number[];
  readonly placed: number;
}

/** Steps before the search gives up: a history of thousands of events takes some thousands. */
const STEPS_MAX = 400_000;

export function linearise<State, Event>(
  history: readonly Timed<Event>[],
  rules: Rules<State, Event>,
): Linearised<Event> {
  const events = history.toSorted((one, other) => one.fromMs - other.fromMs);
  const required = events.reduce((all, { isOptional }, i) => (isOptional ? all : all | bit(i)), 0n);
  const seen = new Set<string>();
  const at = (index: number): Timed<Event> => {
    const event = events[index];
    if (event === undefined) throw new Error(`there is no event ${index}`);
    return event;
  };
  // The same as the last node's `done`, for looking at many places of it.
  const isPlaced = new Uint8Array(events.length);
  const nodeOf = (
    state: State,
    done: bigint,
    latestFromMs: number,
    placed: number,
  ): Node<State> => {
    if (placed >= 0) isPlaced[placed] = 1;
    const children = candidates(events, isPlaced, latestFromMs);
    return { state, done, latestFromMs, placed, children };
  };
  const path = [nodeOf(rules.start, 0n, Number.NEGATIVE_INFINITY, -1)];
  let best: readonly Node<State>[] = [...path];
  for (let steps = 0; ; ) {
    const node = path.at(-1);
    const order = () => best.slice(1).map(({ placed }) => at(placed));
    if (node === undefined) {
      for (const { placed } of best.slice(1)) isPlaced[placed] = 1;
      const stuckAt = candidates(events, isPlaced, best.at(-1)?.latestFromMs ?? 0).map(at);
      return { verdict: "wrong", order: order(), stuckAt };
    }
    if (path.length > best.length) best = [...path];
    if ((node.done & required) === required) {
      best = path;
      return { verdict: "right", order: order(), stuckAt: [] };
    }
    const next = node.children.shift();
    if (next === undefined) {
      path.pop();
      if (node.placed >= 0) isPlaced[node.placed] = 0;
      continue;
    }
    const { event, fromMs } = at(next);
    const state = rules.after(node.state, event);
    if (state === undefined) continue;
    const done = node.done | bit(next);
    const key = `${done.toString(36)} ${rules.keyOf(state)}`;
    if (seen.has(key)) continue;
    seen.add(key);
    steps += 1;
    if (steps > STEPS_MAX) return { verdict: "undecided", order: order(), stuckAt: [] };
    path.push(nodeOf(state, done, Math.max(node.latestFromMs, fromMs), next));
  }
}

/** What may come next by its time: first what must have happened, the most urgent first. */
function candidates<Event>(
  events: readonly Timed<Event>[],
  isPlaced: Uint8Array,
  latestFromMs: number,
): number[] {
  let horizonMs = Number.POSITIVE_INFINITY;
  const found: number[] = [];
  for (const [index, { fromMs, untilMs, isOptional }] of events.entries()) {
    // Sorted by their begin: none that follows can come before what has ended by then.
    if (fromMs > horizonMs) break;
    if (isPlaced[index] === 1) continue;
    if (!isOptional) horizonMs = Math.min(horizonMs, untilMs);
    if (!isOptional || untilMs >= latestFromMs) found.push(index);
  }
  const rank = (index: number) => {
    const { isOptional = false, untilMs = 0, fromMs = 0 } = events[index] ?? {};
    return isOptional ? ([1, fromMs] as const) : ([0, untilMs] as const);
  };
  return found
    .filter((index) => (events[index]?.fromMs ?? 0) <= horizonMs)
    .toSorted((one, other) => {
      const [first, second] = [rank(one), rank(other)];
      return first[0] - second[0] || first[1] - second[1];
    });
}

function bit(index: number): bigint {
  return 1n << BigInt(index);
}
