/** A token bucket: `burst` at once, `perSecond` in the long run. Times are in ms; the caller passes `now`. */
export interface Bucket {
  readonly perSecond: number;
  readonly burst: number;
  tokens: number;
  at: number;
}

/** A full bucket. */
export function createBucket(perSecond: number, burst: number, now: number): Bucket {
  return { perSecond, burst, tokens: burst, at: now };
}

function refill(bucket: Bucket, now: number): void {
  const passed = Math.max(0, now - bucket.at);
  bucket.tokens = Math.min(bucket.burst, bucket.tokens + (passed * bucket.perSecond) / 1_000);
  bucket.at = now;
}

/** Takes a token if there is one. */
export function tryTake(bucket: Bucket, now: number): boolean {
  refill(bucket, now);
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/**
 * Takes `cost` tokens, on credit if need be, for what has happened already.
 * @returns ms until the debt is paid; 0: there is none
 */
export function charge(bucket: Bucket, cost: number, now: number): number {
  refill(bucket, now);
  bucket.tokens -= cost;
  return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens * 1_000) / bucket.perSecond);
}

/** Tells whether forgetting the bucket would change nothing. */
export function isFull(bucket: Bucket, now: number): boolean {
  refill(bucket, now);
  return bucket.tokens >= bucket.burst;
}
