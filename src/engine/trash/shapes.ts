// Exact shapes of JSON that Holdfast wrote itself: anything more, less or other is not ours.

/** Whether a value is a T, to the last member. */
export type Shape<T> = (value: unknown) => value is T;

/** An object with exactly these members. */
export function exactly<T extends object>(
  members: {
    readonly [Name in keyof T]: Shape<T[Name]>;
  },
): Shape<T> {
  const names = Object.keys(members);
  const checks: readonly (readonly [string, Shape<unknown>])[] = Object.entries(members);
  return (value): value is T => {
    if (!isObject(value) || Object.keys(value).length !== names.length) return false;
    return checks.every(([name, check]) => Object.hasOwn(value, name) && check(value[name]));
  };
}

export function oneOf<const T extends string>(...words: readonly T[]): Shape<T> {
  const known: readonly unknown[] = words;
  return (value): value is T => known.includes(value);
}

export function orNull<T>(shape: Shape<T>): Shape<T | null> {
  return (value): value is T | null => value === null || shape(value);
}

export function either<A, B>(first: Shape<A>, second: Shape<B>): Shape<A | B> {
  return (value): value is A | B => first(value) || second(value);
}

/** A list of at most so many. */
export function listOf<T>(shape: Shape<T>, countMax: number): Shape<readonly T[]> {
  return (value): value is readonly T[] =>
    Array.isArray(value) && value.length <= countMax && value.every(shape);
}

/** At most so many characters, as JavaScript counts them. */
export function text(lengthMax: number): Shape<string> {
  return (value): value is string => typeof value === "string" && value.length <= lengthMax;
}

/** The longest way of a `Date` from 1970, in milliseconds. */
const TIME_MS_MAX = 8.64e15;

/** Milliseconds since the epoch: times come from clocks and disks, and may be before 1970. */
export function timeMs(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= TIME_MS_MAX;
}

/** A number of bytes, or of anything else that is counted. */
export function count(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** An object all of whose members are texts. */
export function texts(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every((each) => typeof each === "string");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
