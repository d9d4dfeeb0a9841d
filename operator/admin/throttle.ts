import { type Bucket, createBucket, isFull, tryTake } from '#queue/bucket.ts';

/**
 * How often one address may ask, and all together: each request costs the API server two reviews. Bounded memory:
 * addresses that were quiet are forgotten, and while there are too many, new ones share one bucket.
 */
const limits = { perSecond: 5, burst: 20, allPerSecond: 50, allBurst: 100, addresses: 10_000 } as const;

/** Tells whether a request may be looked at. */
export type Throttle = (address: string, now: number) => boolean;

export function createThrottle(): Throttle {
  const buckets = new Map<string, Bucket>();
  const others = createBucket(limits.perSecond, limits.burst, 0);
  const all = createBucket(limits.allPerSecond, limits.allBurst, 0);

  function bucketOf(address: string, now: number): Bucket {
    const known = buckets.get(address);
    if (known) return known;
    if (buckets.size >= limits.addresses) forgetQuiet(now);
    if (buckets.size >= limits.addresses) return others;
    const made = createBucket(limits.perSecond, limits.burst, now);
    buckets.set(address, made);
    return made;
  }

  function forgetQuiet(now: number): void {
    for (const [address, bucket] of buckets) if (isFull(bucket, now)) buckets.delete(address);
  }

  // The address first: what one of them asks too much takes nothing from the others.
  return (address, now) => tryTake(bucketOf(address, now), now) && tryTake(all, now);
}
