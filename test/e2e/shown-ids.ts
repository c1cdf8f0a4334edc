// Ids that a document shows stand for others in each run; here is kept which one means which.

/**
 * Entries of the trash, whole or shortened, prune plans, cursors of the history. One of the three
 * groups has the kind.
 */
export const idPattern =
  /(?<![\w-])(?:(t-)[0-9a-f]{3,16}|(p-)[0-9a-f]{6}|(c-)[0-9]{1,15})(?![\w-])/g;

/** One per tour. A shown id means the same thing in the whole tour, or the document is not true. */
export class ShownIds {
  readonly #meant = new Map<string, string>();

  /** The words of a command, with the ids of this run. */
  toOwn(words: readonly string[]): readonly string[] {
    return words.map((word) => word.replace(idPattern, (id) => this.#ownOf(id)));
  }

  /** Takes over what the lines mean; returns one sentence for each id that meant another before. */
  learn(shown: readonly string[], printed: string): readonly string[] {
    const lines = printed.split("\n");
    return shown.flatMap((line, index) => {
      const own = lines[index]?.match(idPattern) ?? [];
      return (line.match(idPattern) ?? []).flatMap((id, place) => {
        const meant = own[place];
        return meant === undefined ? [] : this.#note(id, meant);
      });
    });
  }

  #note(id: string, meant: string): readonly string[] {
    for (const [known, before] of this.#meant) {
      if (isOfOne(id, known) && !isOfOne(meant, before)) {
        return [`shown: ${id} where ${known} stood for ${before}\n   is: ${meant}`];
      }
      // Two short ids of the trash may begin alike by chance; the others are whole.
      const isWhole = !id.startsWith("t-");
      if (isWhole && !isOfOne(id, known) && meant === before) {
        return [`shown: ${id} and ${known}\n   is: ${meant} both times`];
      }
    }
    this.#meant.set(id, meant);
    return [];
  }

  #ownOf(id: string): string {
    const known = this.#meant.get(id);
    if (known !== undefined) return known;
    for (const [shown, own] of this.#meant) if (isOfOne(id, shown)) return own;
    return id;
  }
}

/** Ids of the trash may be shortened. */
function isOfOne(left: string, right: string): boolean {
  if (!left.startsWith("t-")) return left === right;
  return left.startsWith(right) || right.startsWith(left);
}
