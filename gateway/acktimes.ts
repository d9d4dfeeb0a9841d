import type { AckTimes } from '#queue/ackhistogram.ts';

/** How long acknowledgements took, over all shards, in ms. */
export interface AckSummary {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly count: number;
}

/** Adds up the histograms of the shards, which have the same buckets. */
export function summarizeAcks(times: readonly AckTimes[]): AckSummary {
  const count = times.reduce((sum, one) => sum + one.count, 0);
  const max = times.reduce((most, one) => Math.max(most, one.max), 0);
  const quantile = (share: number) => {
    let left = Math.ceil(count * share);
    for (const [index, { le }] of (times[0]?.buckets ?? []).entries()) {
      left -= times.reduce((sum, one) => sum + (one.buckets[index]?.count ?? 0), 0);
      if (left <= 0 && count > 0) return Math.min(le, Math.max(1, Math.ceil(max)));
    }
    return 0;
  };
  return { p50: quantile(0.5), p99: quantile(0.99), max, count };
}
