import { describe, expect, test } from 'vitest';
import { capacityOf, quantity } from '#operator/capacity.ts';
import { readExamSession } from '#operator/examsession.ts';
import { defaultSettings } from '#operator/settings.ts';

const settings = defaultSettings.capacity;

function specOf(students: number, more = '') {
  return readExamSession(
    `{apiVersion: untradex.io/v1alpha1, kind: ExamSession, metadata: {name: algebra}, spec: {students: ${students} ${more}}}`,
  ).spec;
}

describe('capacity', () => {
  test.each([
    //  students  replicas  shards  cpu   storage  reload s
    [1, 2, 1, 3, '1Gi', 1],
    [400, 2, 1, 3, '1Gi', 1],
    [4_000, 2, 1, 3, '1Gi', 10],
    [5_000, 2, 1, 3, '2Gi', 12],
    [5_001, 3, 1, 4, '2Gi', 12],
    [20_000, 5, 2, 7, '6Gi', 24],
    [20_001, 6, 3, 9, '6Gi', 16],
    [100_000, 21, 10, 31, '30Gi', 24],
    [250_000, 51, 25, 76, '75Gi', 24],
    [1_000_000, 201, 100, 301, '300Gi', 24],
  ])('of %i students', (students, replicas, shards, cpu, storage, reloadSeconds) => {
    const capacity = capacityOf(specOf(students), null, settings);
    expect(capacity).toMatchObject({ replicas, shards, cpu, redis: { reloadSeconds } });
    expect(quantity(capacity.storageBytes)).toBe(storage);
    expect(capacity.why).toHaveLength(7);
  });

  test('says the reason of each number in a sentence', () => {
    expect(capacityOf(specOf(20_001), null, settings).why).toEqual([
      '6 gateways: 20,001 students at 5000 a gateway need 5, and 1 to spare takes the students of one that dies.',
      '3 shards: 20,001 students at 10000 a shard.',
      '768Mi a gateway: 192Mi to run, 128Mi of answers on their way, and 40Ki for each of the 10,000 connections after which it sends new ones elsewhere.',
      '1152Mi a shard: 6,994 students (hashing is a little uneven) with 200 events of 250 bytes make 736 MB; with new events refused at 80 % maxmemory is 896Mi, and a tenth and 128Mi more is for Redis itself.',
      '2Gi of storage a shard: the append-only file grows to about 1,245 MB, with at most 640 bytes an event beside the answer, and is not to pass 80 %.',
      'A shard that was killed is back after at most 16 s: it loads 1,245 MB at 78 MB a second.',
      'In all: 9 cores (each gateway and each shard uses one thread), 8064Mi of memory, 6Gi of storage.',
    ]);
  });

  test('takes explicit counts as they are', () => {
    const capacity = capacityOf(specOf(400, ', gateway: {replicas: 3}, redis: {shards: 2}'), null, settings);
    expect(capacity).toMatchObject({ replicas: 3, shards: 2 });
    expect(capacity.why.slice(0, 2)).toEqual([
      '3 gateways: spec.gateway.replicas says so.',
      '2 shards: spec.redis.shards says so.',
    ]);
  });

  test('keeps the number of gateways within what the session says', () => {
    const of = (gateway: string) => capacityOf(specOf(20_001, `, gateway: {${gateway}}`), null, settings);
    const [least, most, both] = [of('minReplicas: 9'), of('maxReplicas: 3'), of('minReplicas: 2, maxReplicas: 8')];
    expect([least.replicas, most.replicas, both.replicas]).toEqual([9, 3, 6]);
    expect(least.why[0]).toMatch(/one that dies; spec.gateway.minReplicas says at least 9\.$/);
    expect(most.why[0]).toMatch(/; spec.gateway.maxReplicas says at most 3, so each is to take more of them\.$/);
    expect(both.why[0]).toMatch(/one that dies\.$/);
    // Two have to do for all students when one of the three dies.
    expect(most.gateway.connections).toBe(2 * 10_001);
  });

  test('counts with the storage that the session says, and tells when it is less than needed', () => {
    const of = (storage: string) => capacityOf(specOf(20_001, `, redis: {storage: ${storage}}`), null, settings);
    expect([of('5Gi').redis.storageBytes, of('1.5Gi').storageBytes]).toEqual([5 * 2 ** 30, 4.5 * 2 ** 30]);
    expect(of('"1500000000.5"').redis.storageBytes).toBe(1_500_000_001);
    expect(of('5Gi').why[4]).toMatch(
      /^5Gi of storage a shard: spec.redis.storage says so. Worked out are 2Gi: .* 80 %\.$/,
    );
    expect(of('1Gi').why[4]).toMatch(/ With 1Gi it has less: full after 68 % of these events\.$/);
  });

  test('counts with the memory and the cores that the session says', () => {
    const of = (gateway: string, redis: string) =>
      capacityOf(
        specOf(20_001, `, gateway: {resources: {${gateway}}}, redis: {resources: {${redis}}}`),
        null,
        settings,
      );
    const given = of('cpu: 500m, memory: 2Gi', 'cpu: "0.1", memory: 4Gi');
    expect(given).toMatchObject({ cpu: 3.3, memoryBytes: 6 * 2 ** 31 + 3 * 2 ** 32 });
    expect(given.redis.maxmemoryBytes).toBeGreaterThan(3.5 * 2 ** 30);
    expect(given.redis.maxmemoryBytes * 1.1 + settings.redisBaseBytes).toBeLessThanOrEqual(2 ** 32);
    expect(given.why[2]).toMatch(/^2Gi a gateway: spec.gateway.resources.memory says so. Worked out are 768Mi: /);
    expect(given.why[3]).toMatch(
      /^4Gi a shard: spec.redis.resources.memory says so. .* With 4Gi maxmemory is 3607Mi\.$/,
    );
    expect(given.why[6]).toContain(
      '(a gateway as spec.gateway.resources.cpu says, a shard as spec.redis.resources.cpu',
    );
    const small = of('cpu: "2", memory: 256Mi', 'memory: 512Mi');
    expect(small.why[2]).toMatch(/ It gets less: one that needs more is ended and started again\.$/);
    expect(small.why[3]).toMatch(/ With 512Mi maxmemory is 349Mi: full after 39 % of these events\.$/);
    expect(small.why[6]).toContain('(a gateway as spec.gateway.resources.cpu says, a shard uses one thread)');
    const least = of('memory: 2Gi', 'memory: 1Mi').redis;
    expect(least.memoryBytes).toBeGreaterThan(least.maxmemoryBytes * 1.1 + settings.redisBaseBytes - 1);
  });

  test('never changes the number of shards that exist: more students get gateways and larger shards', () => {
    const small = capacityOf(specOf(4_000), null, settings);
    const grown = capacityOf(specOf(100_000), small.shards, settings);
    expect(grown.shards).toBe(1);
    expect(grown.replicas).toBe(21);
    expect(grown.redis.maxmemoryBytes).toBeGreaterThan(small.redis.maxmemoryBytes);
    expect(grown.why[1]).toBe(
      '1 shard: they exist, and what exists is never re-sharded (by the session as it is now there would be 10).',
    );
    expect(capacityOf(specOf(400, ', redis: {shards: 7}'), 2, settings).shards).toBe(2);
  });

  test('grows with students, event count and event size, and never shrinks with them', () => {
    const sizes = [1, 50, 999, 5_000, 5_001, 40_000, 333_333, 1_000_000];
    const capacities = sizes.map((students) => capacityOf(specOf(students), null, settings));
    for (let i = 1; i < capacities.length; i++) {
      expect(capacities[i]!.memoryBytes).toBeGreaterThanOrEqual(capacities[i - 1]!.memoryBytes);
      expect(capacities[i]!.cpu).toBeGreaterThanOrEqual(capacities[i - 1]!.cpu);
    }
    const heavy = capacityOf(specOf(4_000, ', answers: {perStudent: 2000, bytes: 1000}'), null, settings);
    expect(heavy.redis.storageBytes).toBeGreaterThan(5 * capacities[3]!.redis.storageBytes);
  });

  test('keeps maxmemory below the memory of the shard', () => {
    for (const students of [1, 4_000, 1_000_000]) {
      const { redis } = capacityOf(specOf(students), null, settings);
      expect(redis.maxmemoryBytes).toBeLessThan(redis.memoryBytes);
    }
  });
});
