// What clients of locks saw, and whether locks with fences could have answered so.
//
// The model: a lock has holders, each with a fence that is larger than all given before. A lease
// may end by itself, but not before its time to live has passed since the last call that was
// answered with it; nobody sees that moment, so it is a call that never returns.
import {
  type Call,
  checkLinearizable,
  type SequentialModel,
  type Verdict,
} from "./linearizability.ts";

export type LockMode = "shared" | "exclusive";

export type LockInput =
  | { readonly what: "acquire"; readonly mode: LockMode }
  | { readonly what: "renew" | "release" | "steal" | "end"; readonly fence: bigint };

/** The fence of a grant; "done"; "not_held": it was lost, or let go of, before. */
export type LockOutput = bigint | "done" | "not_held";

export type LockCall = Call<LockInput, LockOutput>;

interface Holder {
  readonly fence: bigint;
  readonly mode: LockMode;
}

interface LockState {
  readonly holders: readonly Holder[];
  readonly lastFence: bigint;
}

/** One lock. A call to acquire that was refused constrains nothing, and is no part of a history. */
export const lockModel: SequentialModel<LockState, LockInput, LockOutput> = {
  initial: { holders: [], lastFence: 0n },
  step(state, input, output) {
    if (input.what === "acquire") {
      // Nobody saw the fence: what happens behind it is possible without it, too.
      if (typeof output !== "bigint" || output <= state.lastFence) return [];
      const isFree =
        state.holders.length === 0 ||
        (input.mode === "shared" && state.holders.every(({ mode }) => mode === "shared"));
      if (!isFree) return [];
      const holder = { fence: output, mode: input.mode };
      return [{ holders: [...state.holders, holder], lastFence: output }];
    }
    const isHeld = state.holders.some(({ fence }) => fence === input.fence);
    if (output === "not_held") return isHeld ? [] : [state];
    if (!isHeld) return [];
    if (input.what === "renew") return [state];
    return [{ ...state, holders: state.holders.filter(({ fence }) => fence !== input.fence) }];
  },
  keyOf: ({ holders, lastFence }) => `${lastFence} ${holders.map(({ fence }) => fence).join(",")}`,
};

/** A call that has begun. Without an answer nobody knows whether it happened. */
export interface OpenCall {
  answer(output: LockOutput): void;
  /** It was refused: it did nothing. */
  refused(): void;
}

interface Recorded {
  readonly client: string;
  readonly input: LockInput;
  readonly ttlMs: number;
  readonly calledAt: number;
  returned: LockCall["returned"];
}

/** Collects calls of many clients and locks. `nowMs` is the same clock for all of them. */
export class LockHistory {
  readonly #nowMs: () => number;
  readonly #calls = new Map<string, Set<Recorded>>();
  /** When leases may have been forgotten whatever their time: the state was lost. */
  readonly #losses: number[] = [];
  #isDamaged = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** `ttlMs` belongs to acquire and renew: how long the lease lives from then on. */
  begin(
    call: { readonly client: string; readonly lock: string; readonly ttlMs?: number },
    input: LockInput,
  ): OpenCall {
    const { client, lock, ttlMs = 0 } = call;
    const calledAt = this.#nowMs();
    const recorded: Recorded = { client, input, ttlMs, calledAt, returned: undefined };
    const calls = this.#calls.get(lock) ?? new Set();
    this.#calls.set(lock, calls.add(recorded));
    return {
      answer: (output) => {
        recorded.returned = { at: this.#nowMs(), output };
      },
      refused: () => void calls.delete(recorded),
    };
  }

  /** From now on every lease may be gone. */
  stateLost(): void {
    this.#losses.push(this.#nowMs());
  }

  /** What was let go of may be held again, too: only fences are looked at from then on. */
  stateDamaged(): void {
    this.stateLost();
    this.#isDamaged = true;
  }

  /** What is wrong with it, for people, with the calls around; undefined: nothing. */
  problem(): string | undefined {
    const twice = this.#fenceGivenTwice();
    if (twice !== undefined || this.#isDamaged) return twice;
    for (const [lock, recorded] of this.#calls) {
      const calls = [...recorded, ...this.#ends([...recorded])].map(({ input, ...rest }) => ({
        input,
        calledAt: rest.calledAt,
        returned: rest.returned,
      }));
      const verdict = checkLinearizable(lockModel, calls);
      if (!verdict.isLinearizable) return describe(lock, verdict);
    }
    return undefined;
  }

  /** Every call, in the order of their beginnings: the report of a run that failed. */
  text(): string {
    const lines: { readonly at: number; readonly text: string }[] = [];
    for (const [lock, calls] of this.#calls) {
      for (const call of calls) {
        lines.push({ at: call.calledAt, text: `${call.client} ${lock} ${wordsOf(call)}` });
      }
    }
    for (const at of this.#losses) lines.push({ at, text: "the state is lost" });
    lines.sort((left, right) => left.at - right.at);
    return lines.map(({ at, text }) => `${at.toFixed(1)} ${text}`).join("\n");
  }

  #fenceGivenTwice(): string | undefined {
    const given = new Set<bigint>();
    for (const calls of this.#calls.values()) {
      for (const { returned } of calls) {
        if (typeof returned?.output !== "bigint") continue;
        if (given.has(returned.output)) return `fence ${returned.output} was given twice`;
        given.add(returned.output);
      }
    }
    return undefined;
  }

  /** For each lease the moment from which on it may have ended by itself. */
  #ends(calls: readonly Recorded[]): readonly LockCall[] {
    const fromMs = new Map<bigint, number>();
    for (const { input, ttlMs, calledAt, returned } of calls) {
      if (returned === undefined || returned.output === "not_held") continue;
      const fence = typeof returned.output === "bigint" ? returned.output : fenceOf(input);
      if (fence === undefined || (input.what !== "acquire" && input.what !== "renew")) continue;
      const endMs = Math.min(calledAt + ttlMs, ...this.#losses.filter((at) => at >= calledAt));
      fromMs.set(fence, Math.max(fromMs.get(fence) ?? 0, endMs));
    }
    return [...fromMs].map(([fence, calledAt]) => ({
      input: { what: "end", fence },
      calledAt,
      returned: undefined,
    }));
  }
}

function fenceOf(input: LockInput): bigint | undefined {
  return input.what === "acquire" ? undefined : input.fence;
}

function describe(lock: string, { order, stuckAt }: Verdict<LockInput, LockOutput>): string {
  const lines = order.slice(-10).map((call) => `  ${call.calledAt.toFixed(1)} ${wordsOf(call)}`);
  const stuck = stuckAt.map((call) => `  ${call.calledAt.toFixed(1)} ${wordsOf(call)}`);
  return [
    `no order of calls explains what was seen of ${lock}; after (the last of ${order.length})`,
    ...lines,
    "none of these can come next",
    ...stuck,
  ].join("\n");
}

function wordsOf({ input, returned }: LockCall): string {
  const what = input.what === "acquire" ? `acquire ${input.mode}` : `${input.what} ${input.fence}`;
  if (returned === undefined) return `${what}: no answer`;
  return `${what}: ${returned.output} at ${returned.at.toFixed(1)}`;
}
