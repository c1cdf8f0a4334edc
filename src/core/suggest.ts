// "Did you mean": the known word that is nearest to what was typed.

/** How many single changes make one word of the other: insert, remove, replace, swap. */
export function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      const replaced = (last[column - 1] ?? 0) + (isSame ? 0 : 1);
      let best = Math.min(replaced, (last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwap) best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1);
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? 0;
}

/** The words that are longer than this are not compared: nobody mistypes them. */
const wordLengthMax = 64;

/** The nearest of `known` to `typed`, or undefined when none is near. */
export function suggest(typed: string, known: readonly string[]): string | undefined {
  if (typed.length > wordLengthMax) return undefined;
  const limit = Math.max(1, Math.floor(typed.length / 3));
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const word of known) {
    const isBeginning = typed.length >= 2 && word.startsWith(typed);
    const distance = isBeginning ? 0 : editDistance(typed.toLowerCase(), word.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) {
      best = { word, distance };
    }
  }
  return best?.word;
}

/** ` did you mean server?` behind a colon, or "" when none is near. */
export function didYouMean(typed: string, known: readonly string[]): string {
  const meant = typed === "" ? undefined : suggest(typed, known);
  return meant === undefined || meant === typed ? "" : ` did you mean ${meant}?`;
}
