// The checker says no to histories that cannot have happened one call at a time, and yes to others.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Call, checkLinearizable, type SequentialModel } from "./linearizability.ts";
import { LockHistory, type LockInput, type LockOutput, lockModel } from "./lock-history.ts";

type RegisterInput = { readonly write: number } | "read";
type RegisterCall = Call<RegisterInput, number>;

const register: SequentialModel<number, RegisterInput, number> = {
  initial: 0,
  step(state, input, output) {
    if (input !== "read") return [input.write];
    return output === undefined || output === state ? [state] : [];
  },
  keyOf: String,
  isRead: (input) => input === "read",
};

function write(value: number, from: number, to?: number): RegisterCall {
  const returned = to === undefined ? undefined : { at: to, output: 0 };
  return { input: { write: value }, calledAt: from, returned };
}

function read(value: number, from: number, to: number): RegisterCall {
  return { input: "read", calledAt: from, returned: { at: to, output: value } };
}

const histories: readonly (readonly [
  about: string,
  isLinearizable: boolean,
  history: readonly RegisterCall[],
])[] = [
  ["nothing", true, []],
  ["one after the other", true, [write(1, 0, 1), read(1, 2, 3)]],
  ["an old value after a write", false, [write(1, 0, 1), read(0, 2, 3)]],
  ["either value beside a write", true, [write(1, 0, 9), read(0, 1, 2), read(1, 3, 4)]],
  ["the new value, then the old one", false, [write(1, 0, 9), read(1, 1, 2), read(0, 3, 4)]],
  [
    "two writes that were seen in an order",
    true,
    [write(1, 0, 9), write(2, 0, 9), read(1, 10, 11)],
  ],
  [
    "two writes that were seen in both orders",
    false,
    [write(1, 0, 1), write(2, 0, 1), read(1, 2, 3), read(2, 4, 5)],
  ],
  ["a write without an answer that was done", true, [write(1, 0), read(1, 5, 6)]],
  ["a write without an answer that was not", true, [write(1, 0), read(0, 5, 6)]],
  ["a write without an answer that came late", true, [write(1, 0), read(0, 5, 6), read(1, 7, 8)]],
  [
    "a write without an answer that came and went",
    false,
    [write(1, 0), read(0, 5, 6), read(1, 7, 8), read(0, 9, 10)],
  ],
  ["a value that nobody wrote", false, [write(1, 0, 5), read(2, 1, 2)]],
  ["a read before its write was called", false, [read(1, 0, 1), write(1, 2, 3)]],
];

describe("a register", () => {
  test.each(histories)("%s: %p", (_about, isLinearizable, history) => {
    expect(checkLinearizable(register, history).isLinearizable).toBe(isLinearizable);
    expect(checkLinearizable(register, history.toReversed()).isLinearizable).toBe(isLinearizable);
  });

  test("the verdict shows how far it went", () => {
    const history = [write(1, 0, 1), read(1, 2, 3), read(0, 4, 5)];
    const { order, stuckAt } = checkLinearizable(register, history);
    expect(order).toEqual(history.slice(0, 2));
    expect(stuckAt).toEqual(history.slice(2));
  });

  test("agrees with trying every order", () => {
    const call = fc.record({
      value: fc.integer({ min: 0, max: 2 }),
      isWrite: fc.boolean(),
      from: fc.integer({ min: 0, max: 12 }),
      takes: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 6 }), (records) => {
        const history = records.map(({ value, isWrite, from, takes }): RegisterCall => {
          if (isWrite) return write(value, from, takes === undefined ? undefined : from + takes);
          return read(value, from, from + (takes ?? 3));
        });
        expect(checkLinearizable(register, history).isLinearizable).toBe(byTrying(history, 0));
      }),
      { numRuns: 2_000 },
    );
  });

  test("a long history of many clients is decided soon", () => {
    const history: RegisterCall[] = [];
    for (let round = 0; round < 1_000; round++) {
      for (let client = 0; client < 5; client++)
        history.push(write(client, round * 10, round * 10 + 5));
      history.push(read(round % 5, round * 10 + 6, round * 10 + 7));
    }
    expect(checkLinearizable(register, history).isLinearizable).toBe(true);
  });
});

describe("a lock", () => {
  const acquire = (
    fence: bigint,
    from: number,
    to: number,
    mode: "shared" | "exclusive" = "exclusive",
  ) => lockCall({ what: "acquire", mode }, fence, from, to);
  const release = (fence: bigint, from: number, to: number, output: LockOutput = "done") =>
    lockCall({ what: "release", fence }, output, from, to);
  const end = (fence: bigint, from: number): Call<LockInput, LockOutput> => ({
    input: { what: "end", fence },
    calledAt: from,
    returned: undefined,
  });
  const renew = (fence: bigint, from: number, to: number, output: LockOutput = "done") =>
    lockCall({ what: "renew", fence }, output, from, to);

  const lockHistories: readonly (readonly [
    about: string,
    isLinearizable: boolean,
    history: readonly Call<LockInput, LockOutput>[],
  ])[] = [
    ["one after the other", true, [acquire(1n, 0, 1), release(1n, 2, 3), acquire(2n, 4, 5)]],
    ["two at once", false, [acquire(1n, 0, 1), acquire(2n, 2, 3), release(1n, 4, 5)]],
    [
      "two at once, beside the release",
      true,
      [acquire(1n, 0, 1), acquire(2n, 2, 5), release(1n, 4, 6)],
    ],
    ["a smaller fence", false, [acquire(2n, 0, 1), release(2n, 2, 3), acquire(1n, 4, 5)]],
    ["two readers", true, [acquire(1n, 0, 1, "shared"), acquire(2n, 2, 3, "shared")]],
    ["a reader beside a writer", false, [acquire(1n, 0, 1), acquire(2n, 2, 3, "shared")]],
    ["a writer beside a reader", false, [acquire(1n, 0, 1, "shared"), acquire(2n, 2, 3)]],
    ["after it may have ended", true, [acquire(1n, 0, 1), end(1n, 2), acquire(2n, 3, 4)]],
    ["before it may have ended", false, [acquire(1n, 0, 1), end(1n, 5), acquire(2n, 3, 4)]],
    [
      "renewed after it ended",
      false,
      [acquire(1n, 0, 1), end(1n, 2), acquire(2n, 3, 4), renew(1n, 5, 6)],
    ],
    [
      "lost while it was held",
      false,
      [acquire(1n, 0, 1), renew(1n, 2, 3, "not_held"), release(1n, 4, 5)],
    ],
    ["lost, and so it says", true, [acquire(1n, 0, 1), end(1n, 2), renew(1n, 3, 4, "not_held")]],
    ["released twice", false, [acquire(1n, 0, 1), release(1n, 2, 3), release(1n, 4, 5)]],
    [
      "released twice, and so it says",
      true,
      [acquire(1n, 0, 1), release(1n, 2, 3), release(1n, 4, 5, "not_held")],
    ],
  ];

  test.each(lockHistories)("%s: %p", (_about, isLinearizable, history) => {
    expect(checkLinearizable(lockModel, history).isLinearizable).toBe(isLinearizable);
  });

  test("a recorded history counts the time from the last renewal's call", () => {
    let nowMs = 0;
    const seen = (secondAtMs: number): string | undefined => {
      nowMs = 0;
      const history = new LockHistory(() => nowMs);
      const step = (atMs: number, input: LockInput, output: LockOutput) => {
        nowMs = atMs;
        const call = history.begin({ client: "one", lock: "l", ttlMs: 100 }, input);
        nowMs += 1;
        call.answer(output);
      };
      step(0, { what: "acquire", mode: "exclusive" }, 5n);
      step(50, { what: "renew", fence: 5n }, "done");
      step(secondAtMs, { what: "acquire", mode: "exclusive" }, 6n);
      return history.problem();
    };
    expect(seen(140)).toInclude("acquire exclusive: 6");
    expect(seen(150)).toBeUndefined();
  });

  test("a fence of two locks was given twice", () => {
    const history = new LockHistory(() => 0);
    for (const lock of ["a", "b"]) {
      history.begin({ client: "one", lock }, { what: "acquire", mode: "exclusive" }).answer(7n);
    }
    expect(history.problem()).toBe("fence 7 was given twice");
  });
});

function lockCall(input: LockInput, output: LockOutput, from: number, to: number) {
  return { input, calledAt: from, returned: { at: to, output } };
}

/** By definition: some order that keeps to the times, of all that returned and some others. */
function byTrying(rest: readonly RegisterCall[], state: number): boolean {
  if (rest.every(({ returned }) => returned === undefined)) return true;
  const firstEnd = Math.min(
    ...rest.map(({ returned }) => returned?.at ?? Number.POSITIVE_INFINITY),
  );
  return rest.some((call) => {
    if (call.calledAt > firstEnd) return false;
    const others = rest.filter((other) => other !== call);
    return register
      .step(state, call.input, call.returned?.output)
      .some((next) => byTrying(others, next));
  });
}
