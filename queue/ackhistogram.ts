/** How long events waited for their acknowledgement. Times in ms. */
export interface AckTimes {
  readonly count: number;
  readonly sum: number;
  readonly max: number;
  /** Upper bounds of the buckets that hold the 50th and the 99th of a hundred; 0 while nothing was counted. */
  readonly p50: number;
  readonly p99: number;
  /** Counts, not cumulative, of the times up to each bound and above the one before. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
}

/** Counts times in buckets that are a ms wide at first and then about an eighth of their value. */
export interface AckHistogram {
  record(ms: number): void;
  times(): AckTimes;
}

const bounds = makeBounds(600_000);
const fine = 64;

function makeBounds(longest: number): number[] {
  const found: number[] = [];
  for (let bound = 1; bound < longest; bound += bound < 64 ? 1 : Math.floor(bound / 8)) found.push(bound);
  return [...found, Number.POSITIVE_INFINITY];
}

export function createAckHistogram(): AckHistogram {
  const counts = new Float64Array(bounds.length);
  let [count, sum, max] = [0, 0, 0];

  function bucketOf(ms: number): number {
    if (ms <= fine) return Math.max(0, Math.ceil(ms) - 1);
    let [low, high] = [fine - 1, bounds.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle]! < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function quantile(share: number): number {
    let left = Math.ceil(count * share);
    for (let i = 0; i < counts.length && count > 0; i++) {
      left -= counts[i]!;
      if (left <= 0) return Math.min(bounds[i]!, Math.max(1, Math.ceil(max)));
    }
    return 0;
  }

  return {
    record(ms) {
      counts[bucketOf(ms)]! += 1;
      count += 1;
      sum += ms;
      if (ms > max) max = ms;
    },
    times: () => ({
      ...{ count, sum, max, p50: quantile(0.5), p99: quantile(0.99) },
      buckets: bounds.map((le, i) => ({ le, count: counts[i]! })),
    }),
  };
}
