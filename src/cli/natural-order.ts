// The order of names that people expect: v2 before v10, digits before letters, as `docker volume ls`.

const zero = 48;
const nine = 57;

function isDigit(code: number): boolean {
  return code >= zero && code <= nine;
}

/** The end of the run of digits that starts at `start`. */
function digitsEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  return end;
}

/** The first position at or after `start` that is not a zero. */
function zerosEnd(text: string, start: number): number {
  let end = start;
  while (text.charCodeAt(end) === zero) end++;
  return end;
}

/**
 * Compares numbers inside names by value and everything else by character. Of two equal numbers
 * the one with fewer leading zeros comes first.
 */
export function compareNaturally(left: string, right: string): number {
  let at = 0;
  let other = 0;
  while (at < left.length && other < right.length) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(other);
    if (isDigit(a) !== isDigit(b)) return isDigit(a) ? -1 : 1;
    if (!isDigit(a)) {
      if (a !== b) return a - b;
      at++;
      other++;
      continue;
    }
    const from = zerosEnd(left, at);
    const otherFrom = zerosEnd(right, other);
    const end = digitsEnd(left, from);
    const otherEnd = digitsEnd(right, otherFrom);
    if (end - from !== otherEnd - otherFrom) return end - from - (otherEnd - otherFrom);
    const digits = left.slice(from, end);
    const otherDigits = right.slice(otherFrom, otherEnd);
    if (digits !== otherDigits) return digits < otherDigits ? -1 : 1;
    if (from - at !== otherFrom - other) return from - at - (otherFrom - other);
    at = end;
    other = otherEnd;
  }
  return left.length - right.length;
}
