import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTimeline, endOf } from '#exporter/report/timeline.ts';

const events = fc.array(
  fc.record({
    shard: fc.nat(2),
    at: fc.oneof(fc.integer({ min: 1_700_000_000_000, max: 1_700_000_900_000 }), fc.nat(2 ** 48 - 1)),
    events: fc.nat(1_000),
  }),
  { minLength: 1, maxLength: 50 },
);

test('counts every event once, in few steps, whatever the times are and in whichever order they come', () => {
  fc.assert(
    fc.property(events, (all) => {
      const [one, other] = [createTimeline(3), createTimeline(3)];
      for (const { shard, at, events } of all) one.add(shard, at, events);
      for (const { shard, at, events } of all.toReversed()) other.add(shard, at, events);
      const timeline = one.end()!;
      expect(other.end()).toEqual(timeline);
      expect(timeline.events.length).toBeLessThanOrEqual(240);
      const times = all.map(({ at }) => at);
      expect(Date.parse(timeline.startedAt)).toBeLessThanOrEqual(Math.min(...times));
      expect(endOf(timeline)).toBeGreaterThan(Math.max(...times));
      for (const [step, count] of timeline.events.entries()) {
        const from = Date.parse(timeline.startedAt) + step * timeline.stepMs;
        const own = all.filter(({ at }) => at >= from && at < from + timeline.stepMs);
        expect(count).toBe(own.reduce((sum, { events }) => sum + events, 0));
        for (const [shard, counts] of timeline.shards.entries()) {
          const here = own.filter((one) => one.shard === shard);
          expect(counts[step]).toBe(here.reduce((sum, { events }) => sum + events, 0));
        }
      }
    }),
  );
});

test('has steps of a second for a short exam, and fewer steps when there are many shards', () => {
  const short = createTimeline(1);
  for (let second = 0; second < 60; second++) short.add(0, 1_700_000_000_000 + second * 1_000, 5);
  expect(short.end()).toMatchObject({ stepMs: 1_000, startedAt: '2023-11-14T22:13:20.000Z' });
  const wide = createTimeline(1_024);
  for (let second = 0; second < 7_200; second++) wide.add(second % 1_024, 1_700_000_000_000 + second * 1_000, 5);
  const timeline = wide.end()!;
  expect(timeline.events.length).toBeLessThanOrEqual(30);
  expect(timeline.shards).toHaveLength(1_024);
});

test('is nothing without events', () => {
  expect(createTimeline(2).end()).toBeNull();
});
