// Lines of tab-separated cells set in columns, as Docker's CLI does it with Go's tabwriter.

const cellWidthMin = 10;
const padding = 3;

/** Characters, not bytes and not UTF-16 units; wide ones count as one, as in Go's tabwriter. */
function widthOf(text: string): number {
  return /[^\0-\x7f]/.test(text) ? [...text].length : text.length;
}

/** One column of few different values and what stands behind it: the list that must be fast. */
export function alignPairs(pairs: readonly (readonly [string, string])[]): string {
  const cells = [...new Set(pairs.map(([cell]) => cell))];
  const width = Math.max(cellWidthMin, ...cells.map((cell) => widthOf(cell) + padding));
  const padded = new Map(cells.map((cell) => [cell, cell + " ".repeat(width - widthOf(cell))]));
  return pairs.map(([cell, rest]) => `${padded.get(cell) ?? cell}${rest}\n`).join("");
}

/**
 * Aligns cells that end in a tab. A column is a block of neighbouring lines that have that cell;
 * the text after a line's last tab belongs to no column and is not padded.
 */
export function alignColumns(text: string): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths: number[][] = lines.map(() => []);
  for (let first = 0; first < lines.length; first++) {
    const cellCount = (lines[first]?.length ?? 1) - 1;
    for (let column = widths[first]?.length ?? 0; column < cellCount; column++) {
      setColumn(lines, widths, { first, column });
    }
  }
  const padded = lines.map((cells, row) =>
    cells
      .map((cell, column) => {
        const width = column === cells.length - 1 ? 0 : (widths[row]?.[column] ?? 0);
        return cell + " ".repeat(Math.max(0, width - widthOf(cell)));
      })
      .join(""),
  );
  return padded.join("\n");
}

/** A column that may be made narrower, down to so many characters. */
interface Narrowable {
  readonly column: number;
  readonly widthMin: number;
}

/**
 * Lines of cells that `alignColumns` sets within so many characters, as far as `narrowable` columns
 * can be cut for it, one after the other; what is cut ends in `…`. Other columns stay as they are.
 */
export function cutToFit(
  lines: readonly (readonly string[])[],
  charactersMax: number,
  narrowable: readonly Narrowable[],
): readonly (readonly string[])[] {
  const last = (lines[0]?.length ?? 1) - 1;
  const widths = Array.from({ length: last + 1 }, (_, column) => {
    const widest = Math.max(0, ...lines.map((cells) => widthOf(cells[column] ?? "")));
    return column === last ? widest : Math.max(cellWidthMin, widest + padding);
  });
  let excess = widths.reduce((sum, width) => sum + width, 0) - charactersMax;
  const limits = new Map<number, number>();
  for (const { column, widthMin } of narrowable) {
    const width = (widths[column] ?? 0) - padding;
    const cut = Math.min(excess, width - widthMin);
    if (cut <= 0) continue;
    limits.set(column, width - cut);
    excess -= cut;
  }
  return lines.map((cells) => cells.map((cell, column) => cutTo(cell, limits.get(column))));
}

function cutTo(cell: string, charactersMax = Number.POSITIVE_INFINITY): string {
  if (widthOf(cell) <= charactersMax) return cell;
  return `${[...cell].slice(0, charactersMax - 1).join("")}…`;
}

/** Lines of cells, the titles first. No cell has a tab or a line break: see `oneLine`. */
export function tableText(lines: readonly (readonly string[])[]): string {
  return alignColumns(lines.map((cells) => `${cells.join("\t")}\n`).join(""));
}

/** A table has no room for what others may have written into a line. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
}

function setColumn(
  lines: readonly (readonly string[])[],
  widths: number[][],
  { first, column }: { readonly first: number; readonly column: number },
): void {
  let last = first;
  let width = cellWidthMin;
  while (last < lines.length && (lines[last]?.length ?? 1) - 1 > column) {
    width = Math.max(width, widthOf(lines[last]?.[column] ?? "") + padding);
    last++;
  }
  for (let row = first; row < last; row++) {
    const known = widths[row];
    if (known) known[column] = width;
  }
}
