import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capacityOf, quantity } from '#operator/capacity.ts';
import { redisInputs, shardSizes } from '#operator/kubernetes/shardsizes.ts';
import { defaultSettings } from '#operator/settings.ts';
import { desiredShards, GiB, MiB, sessionWith } from './shardparts.ts';

describe("a shard's sizes", () => {
  test("are the plan's, where the session names none", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 2_000 }), (students, perStudent) => {
        const { spec } = sessionWith({}, students);
        const answers = { ...spec.answers, perStudent };
        const { redis } = capacityOf({ ...spec, answers }, null, defaultSettings.capacity);
        const { maxmemoryBytes, memoryBytes, storageBytes, cpu } = redis;
        const planned = { maxmemoryBytes, memoryBytes, storageBytes, cpu };
        expect(shardSizes(desiredShards(planned), {}, 0)).toEqual(planned);
      }),
    );
  });

  test("are the session's own, and Redis fits into the memory", () => {
    const wishes = { storage: '5Gi', resources: { cpu: '250m', memory: '2Gi' } };
    const sizes = shardSizes(desiredShards(), wishes, 0);
    expect(sizes).toMatchObject({ storageBytes: 5 * GiB, cpu: 0.25, memoryBytes: 2 * GiB });
    expect(sizes.maxmemoryBytes).toBeGreaterThan(1.7 * GiB);
    expect(sizes.maxmemoryBytes * 1.1 + 128 * MiB).toBeLessThanOrEqual(2 * GiB);
  });

  test('never shrink below what is configured, whatever is asked for later', () => {
    const size = fc.integer({ min: 1, max: 64 }).map((number) => number * 128 * MiB);
    const memory = fc.option(size.map(quantity), { nil: undefined });
    fc.assert(
      fc.property(size, size, memory, fc.nat(8 * GiB), (maxmemoryBytes, memoryBytes, memory, known) => {
        const desired = desiredShards({ maxmemoryBytes, memoryBytes });
        const sizes = shardSizes(desired, { resources: { memory } }, known);
        expect(sizes.maxmemoryBytes).toBeGreaterThanOrEqual(known);
        expect(sizes.memoryBytes).toBeGreaterThanOrEqual(sizes.maxmemoryBytes * 1.1);
        expect(shardSizes(desired, { resources: { memory } }, sizes.maxmemoryBytes)).toEqual(sizes);
      }),
    );
  });
});

test('the digest of the wishes changes with what sizes or places a shard, and with nothing else', () => {
  const base = redisInputs(sessionWith().spec, 2, 'redis:7');
  const { spec } = sessionWith();
  const other = (change: Partial<typeof spec>) => redisInputs({ ...spec, ...change }, 2, 'redis:7');
  expect(other({ closesAt: '2026-05-04T12:00:00Z', phase: 'Finalizing' })).toBe(base);
  expect(redisInputs(sessionWith({ storage: '9Gi' }).spec, 2, 'redis:7')).toBe(base);
  const changed = [
    other({ students: 1 }),
    other({ answers: { perStudent: 1, bytes: 1 } }),
    redisInputs(sessionWith({ resources: { cpu: '2' } }).spec, 2, 'redis:7'),
    redisInputs(sessionWith({ pod: { priorityClassName: 'high' } }).spec, 2, 'redis:7'),
    redisInputs(spec, 3, 'redis:7'),
    redisInputs(spec, 2, 'redis:8'),
  ];
  expect(new Set([base, ...changed]).size).toBe(changed.length + 1);
});
