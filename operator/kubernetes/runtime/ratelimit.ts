export interface RateLimit {
  /**
   * Takes a place and tells how long to wait for it, in ms; 0 for at once. Null when that were more than `mostMs`:
   * then nothing was taken, so what waits is bounded by `perSecond * mostMs`.
   */
  take(mostMs: number): number | null;
}

/** A bucket of `burst` places, refilled by `perSecond` a second. `now` in ms, monotonic. */
export function createRateLimit(perSecond: number, burst: number, now: () => number): RateLimit {
  let places = burst;
  let filledAt = now();
  return {
    take(mostMs) {
      const time = now();
      places = Math.min(burst, places + ((time - filledAt) * perSecond) / 1_000);
      filledAt = time;
      const waitMs = Math.max(0, ((1 - places) * 1_000) / perSecond);
      if (waitMs > mostMs) return null;
      places -= 1;
      return waitMs;
    },
  };
}
