// The order of names that people expect, as in `docker volume ls`: v2 before v10.

const zero = 48;

/** The longest runs that are told apart; longer ones compare as if they were this long. */
const countMax = 0xfff0;

/** A run of digits as text that sorts by value; of equal values fewer leading zeros come first. */
function encodeDigits(digits: string): string {
  let zeros = 0;
  while (digits.charCodeAt(zeros) === zero) zeros++;
  const length = Math.min(digits.length - zeros, countMax);
  const start = String.fromCharCode(1, 1 + length);
  return start + digits.slice(zeros) + String.fromCharCode(1 + Math.min(zeros, countMax));
}

/**
 * Text whose plain order is the natural order of `name`: numbers inside it count by value, a digit
 * comes before everything else, and everything else is compared by character.
 */
export function naturalKey(name: string): string {
  return name.replace(/[0-9]+/g, encodeDigits);
}

/**
 * Sorts by name. Sorting by keys instead of comparing pairs matters to a short-lived process: a
 * comparator is called so often that Bun starts to compile it, which takes longer than the sort.
 */
export function sortNaturally<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  const keys = items.map((item, index) => `${naturalKey(nameOf(item))}\0${index}`);
  keys.sort();
  const sorted: T[] = [];
  for (const key of keys) {
    const item = items[Number(key.slice(key.lastIndexOf("\0") + 1))];
    if (item !== undefined) sorted.push(item);
  }
  return sorted;
}
