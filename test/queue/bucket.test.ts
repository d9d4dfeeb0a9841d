import { describe, expect, it } from 'vitest';
import { charge, createBucket, isFull, tryTake } from '#queue/bucket.ts';

describe('a token bucket', () => {
  it('gives a burst at once, then what time brings', () => {
    const bucket = createBucket(2, 3, 1_000);
    expect([1, 2, 3, 4].map(() => tryTake(bucket, 1_000))).toEqual([true, true, true, false]);
    expect(tryTake(bucket, 1_499)).toBe(false);
    expect(tryTake(bucket, 1_500)).toBe(true);
    expect(tryTake(bucket, 1_500)).toBe(false);
    expect(isFull(bucket, 2_500)).toBe(false);
    expect(isFull(bucket, 9_000)).toBe(true);
  });

  it('gives credit and says when the debt is paid', () => {
    const bucket = createBucket(10, 5, 0);
    expect(charge(bucket, 5, 0)).toBe(0);
    expect(charge(bucket, 20, 0)).toBe(2_000);
    expect(charge(bucket, 0, 1_500)).toBe(500);
    expect(charge(bucket, 0, 2_000)).toBe(0);
  });

  it('survives a clock that goes back', () => {
    const bucket = createBucket(1, 1, 5_000);
    expect(tryTake(bucket, 1_000)).toBe(true);
    expect(tryTake(bucket, 2_000)).toBe(true);
  });
});
