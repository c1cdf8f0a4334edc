// Decides whether a history of concurrent calls could have happened one call at a time.
//
// The search of Wing and Gong (1993) with Lowe's memory of what was tried (2017): take any call
// that nobody's end comes before as the next one, and go back when the model refuses. The same
// calls done with the same state behind them are not tried twice. Parts of a history that have
// nothing to do with each other (the keys of a map, say) are checked apart by whoever knows them.
// A call that only reads is in the way of no other: where it may come, it is taken, and what
// follows decides about the calls before it, not about it.

/** What one thing at a time would do. */
export interface SequentialModel<State, Input, Output> {
  readonly initial: State;
  /**
   * The states that the call may lead to with this output; none: it cannot have come. An output
   * that is undefined was never seen: any may have been.
   */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  /** The same text for states that behave the same. */
  keyOf(state: State): string;
  /** Whether a call changes no state, whatever it is. Missing: that is not known of any. */
  readonly isRead?: (input: Input) => boolean;
}

/** One call of a history. Times are of one clock. */
export interface Call<Input, Output> {
  readonly input: Input;
  readonly calledAt: number;
  /**
   * undefined: no answer was seen. It may have happened, at any time from `calledAt` on, or not.
   */
  readonly returned: { readonly at: number; readonly output: Output } | undefined;
}

/** "yes" with one order of what happened; "no" with the longest order that was found. */
export interface Verdict<Input, Output> {
  readonly isLinearizable: boolean;
  readonly order: readonly Call<Input, Output>[];
  /** The calls of which one must come next, and none can. */
  readonly stuckAt: readonly Call<Input, Output>[];
}

/** What stands before a node: another one, or the beginning of all. */
interface Link<Input, Output> {
  next: Node<Input, Output> | undefined;
}

/** A call, or the return of one. */
interface Node<Input, Output> extends Link<Input, Output> {
  /** Of which call, by its number in the order of calls. */
  readonly index: number;
  readonly call: Call<Input, Output>;
  /** The return, in the node of a call that has one. */
  readonly end: Node<Input, Output> | undefined;
  readonly isReturn: boolean;
  previous: Link<Input, Output> | undefined;
}

/** One step of the search, to be undone. */
interface Step<State, Input, Output> {
  readonly node: Node<Input, Output>;
  readonly before: State;
  /** Which of the states that it may lead to was tried. */
  readonly choice: number;
  /** It only reads: if this does not lead on, nothing else that may come here does. */
  readonly isFree: boolean;
}

/** How many steps a search may take before it is given up: it is exponential at worst. */
const STEP_COUNT_MAX = 20_000_000;

/** Throws when it takes too long to say. */
export function checkLinearizable<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Call<Input, Output>[],
): Verdict<Input, Output> {
  return new Search(model, history).run();
}

class Search<State, Input, Output> {
  readonly #model: SequentialModel<State, Input, Output>;
  readonly #head: Link<Input, Output>;
  /** A bit for each call. */
  readonly #done: Uint8Array;
  readonly #tried = new Set<string>();
  readonly #steps: Step<State, Input, Output>[] = [];
  #state: State;
  #unreturnedCount: number;
  #longest: readonly Call<Input, Output>[] = [];
  #stuckAt: readonly Call<Input, Output>[] = [];

  constructor(
    model: SequentialModel<State, Input, Output>,
    history: readonly Call<Input, Output>[],
  ) {
    this.#model = model;
    this.#state = model.initial;
    this.#head = linked(history);
    this.#done = new Uint8Array(Math.ceil(history.length / 8));
    this.#unreturnedCount = history.filter(({ returned }) => returned !== undefined).length;
  }

  run(): Verdict<Input, Output> {
    let node = this.#head.next;
    let choice = 0;
    for (let count = 0; this.#unreturnedCount > 0; count++) {
      if (count > STEP_COUNT_MAX) throw new Error("the history is too long to be decided");
      if (node !== undefined && !node.isReturn) {
        const found = this.#try(node, choice);
        node = found ? this.#head.next : node.next;
        choice = 0;
        continue;
      }
      // A return that nothing can be put before, or the end: the last step was wrong.
      this.#noteLongest();
      const last = this.#lastChoice();
      if (last === undefined) {
        return { isLinearizable: false, order: this.#longest, stuckAt: this.#stuckAt };
      }
      this.#undo(last);
      node = last.node;
      choice = last.choice + 1;
    }
    return { isLinearizable: true, order: this.#order(), stuckAt: [] };
  }

  #try(node: Node<Input, Output>, from: number): boolean {
    const { call, index } = node;
    const before = this.#state;
    const states = this.#model.step(before, call.input, call.returned?.output);
    this.#flip(index);
    for (const [choice, state] of states.entries()) {
      if (choice < from || !this.#isNew(state)) continue;
      const isFree = this.#model.isRead?.(call.input) ?? false;
      this.#steps.push({ node, before, choice, isFree });
      this.#state = state;
      lift(node);
      if (call.returned !== undefined) this.#unreturnedCount -= 1;
      return true;
    }
    this.#flip(index);
    return false;
  }

  /** Undoes what is no choice; the last one that is one is still to be undone. */
  #lastChoice(): Step<State, Input, Output> | undefined {
    let last = this.#steps.pop();
    while (last?.isFree === true) {
      this.#undo(last);
      last = this.#steps.pop();
    }
    return last;
  }

  #undo({ node, before }: Step<State, Input, Output>): void {
    this.#state = before;
    this.#flip(node.index);
    if (node.call.returned !== undefined) this.#unreturnedCount += 1;
    unlift(node);
  }

  #flip(index: number): void {
    this.#done[index >> 3] = (this.#done[index >> 3] ?? 0) ^ (1 << (index & 7));
  }

  /** Lowe's memory: the same calls done and the same state were not there before. */
  #isNew(state: State): boolean {
    const sign = `${Buffer.from(this.#done).toString("latin1")} ${this.#model.keyOf(state)}`;
    if (this.#tried.has(sign)) return false;
    this.#tried.add(sign);
    return true;
  }

  #order(): readonly Call<Input, Output>[] {
    return this.#steps.map(({ node }) => node.call);
  }

  #noteLongest(): void {
    if (this.#steps.length < this.#longest.length) return;
    this.#longest = this.#order();
    const stuckAt: Call<Input, Output>[] = [];
    for (let node = this.#head.next; node !== undefined && !node.isReturn; node = node.next) {
      stuckAt.push(node.call);
    }
    this.#stuckAt = stuckAt;
  }
}

/** Calls and returns in the order of time, behind a head that is none of them. */
function linked<Input, Output>(history: readonly Call<Input, Output>[]): Link<Input, Output> {
  const inOrder = [...history].sort((left, right) => left.calledAt - right.calledAt);
  const events: { readonly at: number; readonly node: Node<Input, Output> }[] = [];
  for (const [index, call] of inOrder.entries()) {
    const rest = { index, call, previous: undefined, next: undefined };
    const { returned } = call;
    const end = returned && { ...rest, end: undefined, isReturn: true };
    events.push({ at: call.calledAt, node: { ...rest, end, isReturn: false } });
    if (returned !== undefined && end !== undefined) events.push({ at: returned.at, node: end });
  }
  // At the same time calls come before returns: nobody says which of the two was first.
  events.sort(
    (left, right) => left.at - right.at || Number(left.node.isReturn) - Number(right.node.isReturn),
  );
  const head: Link<Input, Output> = { next: undefined };
  let last = head;
  for (const { node } of events) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function lift<Input, Output>(node: Node<Input, Output>): void {
  unlink(node);
  if (node.end !== undefined) unlink(node.end);
}

function unlift<Input, Output>(node: Node<Input, Output>): void {
  if (node.end !== undefined) relink(node.end);
  relink(node);
}

function unlink<Input, Output>(node: Node<Input, Output>): void {
  if (node.previous !== undefined) node.previous.next = node.next;
  if (node.next !== undefined) node.next.previous = node.previous;
}

/** Each knows its neighbours still: the last one that left is the first one to come back. */
function relink<Input, Output>(node: Node<Input, Output>): void {
  if (node.previous !== undefined) node.previous.next = node;
  if (node.next !== undefined) node.next.previous = node;
}
