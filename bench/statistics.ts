// Order statistics of a handful of rounds: what a table row says about its figures.

/** Five order statistics of one series, in the unit of the series. */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly lowerQuartile: number;
  readonly median: number;
  readonly upperQuartile: number;
  readonly max: number;
}

/**
 * The value below which `share` (0 to 1) of the sorted series lies, interpolated between neighbours
 * as R does by default (type 7). Throws `RangeError` for an empty series or a share outside 0 to 1.
 */
export function quantile(sorted: readonly number[], share: number): number {
  if (share < 0 || share > 1) {
    throw new RangeError(`a share lies between 0 and 1, and ${share} does not`);
  }
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) {
    throw new RangeError("an empty series has no quantile");
  }
  return below + (above - below) * (position - Math.floor(position));
}

/** Summarises a series. Throws `RangeError` when it is empty or not all numbers are finite. */
export function summarise(series: readonly number[]): Summary {
  if (!series.every(Number.isFinite)) {
    throw new RangeError(`not a series of finite numbers: ${series.join(", ")}`);
  }
  const sorted = series.toSorted((left, right) => left - right);
  return {
    count: sorted.length,
    min: quantile(sorted, 0),
    lowerQuartile: quantile(sorted, 0.25),
    median: quantile(sorted, 0.5),
    upperQuartile: quantile(sorted, 0.75),
    max: quantile(sorted, 1),
  };
}

/**
 * Round by round, the candidate's figure divided by the reference's of the same round. Throws
 * `RangeError` when the series differ in length: unpaired figures must not be compared.
 */
export function ratios(candidate: readonly number[], reference: readonly number[]): number[] {
  if (candidate.length !== reference.length) {
    throw new RangeError(`${candidate.length} figures against ${reference.length}: not paired`);
  }
  return candidate.map((figure, round) => figure / (reference[round] ?? Number.NaN));
}
