import { describe, expect, test } from 'vitest';
import { planSession } from '#operator/plan.ts';
import type { Observed } from '#operator/platform.ts';
import type { QueueFacts } from '#operator/queuecontrol.ts';
import { defaultSettings as settings } from '#operator/settings.ts';
import {
  attemptOf,
  birthOf,
  factsOf,
  fault,
  gatewayOf,
  now,
  observedOf,
  queueOf,
  root,
  sealedStatus,
  shardObserved,
  silent,
  statusOfPast,
  succeeded,
} from './facts.ts';

function plan(observed: Observed, queue: QueueFacts = queueOf(), time = now) {
  return planSession(observed, queue, time, settings);
}

const nothing = { identity: { uid: 'uid', shards: [] }, shards: [], gateways: [] };
const finalizing = 'phase: Finalizing';
const draining = (until: number) =>
  [0, 1].map((shard) =>
    factsOf(shard, { session: { ...factsOf(shard).session!, phase: 'Draining', drainUntil: until } }),
  );

describe('what is desired', () => {
  const table: [what: string, observed: Observed, queue: QueueFacts, desired: object][] = [
    [
      'nothing is there yet',
      observedOf(nothing),
      { shards: [], now: null },
      { stage: 'Provision', shards: { count: 1, running: true }, gateways: { replicas: 0 }, attempt: null },
    ],
    [
      'it opens later',
      observedOf({ ...nothing, spec: 'opensAt: "2026-05-04T11:00:00Z"' }),
      { shards: [], now: null },
      {
        stage: 'Wait',
        shards: { count: 0, running: false },
        gateways: { replicas: 0 },
        queue: null,
        requeueAfterMs: 30 * 60_000,
      },
    ],
    [
      'it opens later, and the lead has begun',
      observedOf({ ...nothing, spec: 'opensAt: "2026-05-04T10:20:00Z"' }),
      { shards: [], now: null },
      { stage: 'Provision' },
    ],
    [
      'it exists, and opensAt was moved',
      observedOf({ spec: 'opensAt: "2026-05-04T12:00:00Z"' }),
      queueOf(),
      { stage: 'Serve' },
    ],
    [
      'one shard is not born',
      observedOf({ gateways: [], identity: { uid: 'uid', shards: [birthOf(0), birthOf(1, false)] } }),
      queueOf(),
      { stage: 'Provision', gateways: { replicas: 0 } },
    ],
    [
      'gateways start',
      observedOf({ gateways: [gatewayOf(1), gatewayOf(2, { ready: false })] }),
      queueOf(),
      { stage: 'Provision', gateways: { replicas: 2, mode: 'serve' } },
    ],
    [
      'students answer',
      observedOf(),
      queueOf(),
      {
        stage: 'Serve',
        queue: { session: { phase: 'Active', drainUntil: null, verified: null }, seal: false },
        sealing: null,
      },
    ],
    [
      'a gateway died in mid-exam',
      observedOf({ status: statusOfPast(), gateways: [gatewayOf(1), gatewayOf(2, { ready: false })] }),
      queueOf(),
      { stage: 'Serve', gateways: { replicas: 2 } },
    ],
    [
      'a shard died in mid-exam',
      observedOf({ status: statusOfPast() }),
      queueOf(factsOf(0), silent(1)),
      { stage: 'Serve', gateways: { replicas: 2 } },
    ],
    [
      'all gateways died in mid-exam',
      observedOf({ status: statusOfPast(), gateways: [gatewayOf(1, { ready: false })] }),
      queueOf(),
      { stage: 'Provision', gateways: { replicas: 2 } },
    ],
    [
      'it is finalized',
      observedOf({ spec: finalizing, status: statusOfPast() }),
      queueOf(),
      {
        stage: 'Drain',
        drainUntil: now + 10_000,
        sealing: null,
        gateways: { replicas: 2, mode: 'serve' },
        queue: { session: { phase: 'Draining', drainUntil: now + 10_000 }, seal: false },
      },
    ],
    [
      'it is finalized, and a shard does not tell its time',
      observedOf({ spec: finalizing }),
      queueOf(factsOf(0), silent(1)),
      { stage: 'Drain', drainUntil: null, sealing: null },
    ],
    [
      'the grace is not over',
      observedOf({ spec: finalizing, status: statusOfPast({ drainUntil: now + 1 }) }),
      queueOf(...draining(now + 1)),
      { stage: 'Drain', drainUntil: now + 1, sealing: null, requeueAfterMs: 10 },
    ],
    [
      'the grace is over',
      observedOf({ spec: finalizing, status: statusOfPast({ drainUntil: now }) }),
      queueOf(...draining(now)),
      { stage: 'Drain', sealing: '2026-05-04T10:00:00.000Z', queue: { seal: false } },
    ],
    [
      "the grace is over by our clock, not by a shard's",
      observedOf({ spec: finalizing, status: statusOfPast({ drainUntil: now }) }),
      queueOf(draining(now)[0]!, { ...draining(now)[1]!, time: now - 1 }),
      { stage: 'Drain', sealing: null },
    ],
    [
      'the grace is over, and a shard was not told',
      observedOf({ spec: finalizing, status: statusOfPast({ drainUntil: now }) }),
      queueOf(draining(now)[0]!, factsOf(1)),
      { stage: 'Drain', sealing: null },
    ],
    [
      'draining, and the status was lost',
      observedOf({ spec: finalizing }),
      queueOf(...draining(now + 4_000)),
      { stage: 'Drain', drainUntil: now + 4_000 },
    ],
    [
      'sealing is decided',
      observedOf({ status: statusOfPast({ sealing: '2026-05-04T09:59:59.000Z' }) }),
      queueOf(),
      { stage: 'Seal', sealing: '2026-05-04T09:59:59.000Z', queue: { seal: true }, gateways: { mode: 'serve' } },
    ],
    [
      'a shard is sealed, the status says nothing',
      observedOf({ status: statusOfPast() }),
      queueOf(factsOf(0, { sealedAt: 5 }), factsOf(1)),
      { stage: 'Seal', sealing: '2026-05-04T10:00:00.000Z', queue: { seal: false } },
    ],
    [
      'all is sealed',
      observedOf({ status: sealedStatus() }),
      queueOf(),
      {
        stage: 'Export',
        gateways: { replicas: 1, mode: 'answer' },
        queue: { session: { phase: 'Exporting' }, seal: false },
        attempt: { attempt: 1, root, witnesses: [{ shard: 0 }, { shard: 1 }], table: 'EXAM_ANSWERS' },
      },
    ],
    [
      'all is sealed, and the spec was set back',
      observedOf({ spec: 'phase: Active', status: sealedStatus() }),
      queueOf(),
      { stage: 'Export' },
    ],
    [
      'an attempt is under way',
      observedOf({ status: sealedStatus(), attempt: attemptOf() }),
      queueOf(),
      { stage: 'Export', attempt: { attempt: 1 } },
    ],
    [
      'an attempt failed just now',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'failed', endedAt: now, fault }) }),
      queueOf(),
      { stage: 'Export', attempt: null, shards: { running: true }, requeueAfterMs: 1_000 },
    ],
    [
      'an attempt failed a while ago',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'failed', endedAt: now - 2_000 }) }),
      queueOf(),
      { stage: 'Export', attempt: { attempt: 2 } },
    ],
    [
      'the tenth attempt failed',
      observedOf({
        status: sealedStatus(),
        attempt: attemptOf({ number: 10, state: 'failed', endedAt: now - 59_000 }),
      }),
      queueOf(),
      { attempt: null },
    ],
    [
      'the tenth attempt failed a minute ago',
      observedOf({
        status: sealedStatus(),
        attempt: attemptOf({ number: 10, state: 'failed', endedAt: now - 60_000 }),
      }),
      queueOf(),
      { attempt: { attempt: 11 } },
    ],
    [
      'an attempt is blocked',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'blocked', endedAt: now - 60_000, fault }) }),
      queueOf(),
      { attempt: null, queue: { session: { phase: 'Failed' } } },
    ],
    [
      'an attempt is blocked, and the session was edited',
      observedOf({
        generation: 2,
        status: sealedStatus(),
        attempt: attemptOf({ state: 'blocked', endedAt: now, fault }),
      }),
      queueOf(),
      { attempt: { attempt: 2, generation: 2 } },
    ],
    [
      'the export is verified',
      observedOf({ status: sealedStatus(), attempt: succeeded() }),
      queueOf(),
      {
        stage: 'Linger',
        gateways: { replicas: 1, mode: 'answer' },
        shards: { running: true },
        queue: { session: { phase: 'Completed', verified: root } },
      },
    ],
  ];
  test.each(table)('when %s', (_, observed, queue, desired) => {
    expect(plan(observed, queue)).toMatchObject(desired);
  });

  test('when it was told long enough: nothing', () => {
    const exported = {
      ...exportStatus(),
      toldAt: new Date(now - settings.verifiedLingerSeconds * 1_000).toISOString(),
    };
    const over = observedOf({ status: sealedStatus({ export: exported }), attempt: succeeded() });
    expect(plan(over)).toMatchObject({
      stage: 'Done',
      gateways: { replicas: 0 },
      shards: { count: 2, running: false },
      queue: null,
      requeueAfterMs: null,
    });
    expect(plan(over, queueOf(), now - 1_000).stage).toBe('Linger');
  });

  test('when nobody can be told: it is not tried for ever', () => {
    const over = observedOf({ status: sealedStatus(), attempt: succeeded() });
    const late = now + settings.verifiedMostSeconds * 1_000;
    expect(plan(over, queueOf(silent(0), factsOf(1)), late - 2_000).stage).toBe('Linger');
    expect(plan(over, queueOf(silent(0), factsOf(1)), late).stage).toBe('Done');
  });
});

function exportStatus() {
  return {
    attempt: 1,
    state: 'succeeded' as const,
    step: 'verify' as const,
    rows: 1,
    total: 1,
    rowsPerSecond: 1,
    digest: '',
    report: '',
    toldAt: null,
  };
}

describe('deadlines', () => {
  const spec = 'closesAt: "2026-05-04T10:00:00Z", graceSeconds: 5, autoFinalize: true';
  const roster = new Map([['ada', 15]]);

  test('are told to the shards, and extra minutes count from closesAt', () => {
    const { queue } = plan(observedOf({ spec, roster }), queueOf(factsOf(0, { time: now - 60_000 }), factsOf(1)));
    expect(queue!.session).toMatchObject({ closesAt: now, graceMs: 5_000 });
    expect([...queue!.deadlines.own]).toEqual([['ada', now + 15 * 60_000]]);
  });

  test('finalize at the last one plus grace, not at closesAt', () => {
    const at = (time: number) => queueOf(factsOf(0, { time }), factsOf(1, { time }));
    const observed = observedOf({ spec, roster, status: statusOfPast() });
    const last = now + 15 * 60_000;
    expect(plan(observed, at(now + 6_000)).stage).toBe('Serve');
    expect(plan(observed, at(last - 1)).stage).toBe('Serve');
    expect(plan(observed, at(last))).toMatchObject({ stage: 'Drain', drainUntil: last + 5_000 });
  });

  test("are judged by the slowest shard's clock, never by the operator's", () => {
    const observed = observedOf({ spec, status: statusOfPast() });
    const aDay = 86_400_000;
    expect(
      plan(observed, queueOf(factsOf(0, { time: now - 1 }), factsOf(1, { time: now + aDay })), now + aDay).stage,
    ).toBe('Serve');
    expect(plan(observed, queueOf(factsOf(0), silent(1)), now + aDay).stage).toBe('Serve');
  });

  test('extended while draining by themselves lead back to serving', () => {
    const later = spec.replace('10:00:00Z', '11:00:00Z');
    const observed = observedOf({ spec: later, status: statusOfPast({ phase: 'Draining', drainUntil: now + 5_000 }) });
    const desired = plan(observed, queueOf(...draining(now + 5_000)));
    expect(desired).toMatchObject({ drainUntil: null, queue: { session: { phase: 'Active', drainUntil: null } } });
    expect(['Provision', 'Serve']).toContain(desired.stage);
  });

  test('bring the next pass when they come', () => {
    const observed = observedOf({ spec, status: statusOfPast() });
    const inTwoSeconds = factsOf(0, { time: now - 2_000 });
    expect(plan(observed, queueOf(inTwoSeconds, { ...inTwoSeconds, shard: 1 })).requeueAfterMs).toBe(2_000);
  });
});

describe('a shard', () => {
  const filled = (fraction: number, full: boolean) =>
    factsOf(0, {
      memory: { usedBytes: fraction * 1e9, maxBytes: 1e9 },
      session: { ...factsOf(0).session!, full },
    });

  test.each([
    ['memory at 80 % is not full', filled(0.8, false), []],
    ['memory above 80 % is full', filled(0.81, false), [0]],
    ['full stays full until well below', filled(0.76, true), [0]],
    ['full is over below 75 %', filled(0.75, true), []],
  ])('with %s', (_, facts, full) => {
    expect([...plan(observedOf(), queueOf(facts, factsOf(1))).queue!.full]).toEqual(full);
  });

  test('with a disk above 80 % is full', () => {
    const storage = { usedBytes: 81, capacityBytes: 100 };
    const observed = observedOf({ shards: [shardObserved(0), shardObserved(1, { storage })] });
    expect([...plan(observed).queue!.full]).toEqual([1]);
  });

  test('is judged by its own account of its file where the disk cannot be seen', () => {
    const storage = { usedBytes: null, capacityBytes: 100 };
    const observed = observedOf({ shards: [shardObserved(0), shardObserved(1, { storage })] });
    expect([...plan(observed, queueOf(factsOf(0), factsOf(1, { aofBytes: 81 }))).queue!.full]).toEqual([1]);
  });

  test('never gets less memory than it has', () => {
    const observed = observedOf({ shards: [shardObserved(0, { maxmemoryBytes: 64e9 }), shardObserved(1)] });
    expect(plan(observed).shards.maxmemoryBytes).toBe(64e9);
  });
});

describe('a shard that is given up', () => {
  const spec = 'redis: {refill: [{shard: 1, incarnation: incarnation-1}]}';
  const lost = silent(1, { phase: 'lost', fault });

  test('is made anew when it does not work, and gateways go on meanwhile', () => {
    expect(plan(observedOf({ spec, status: statusOfPast() }), queueOf(factsOf(0), lost)).shards.refill).toEqual([1]);
    const identity = { uid: 'uid', shards: [birthOf(0), { shard: 1, incarnation: 'another', born: false }] };
    const after = plan(
      observedOf({ spec, identity, status: statusOfPast() }),
      queueOf(factsOf(0), silent(1, { phase: 'unborn' })),
    );
    expect(after).toMatchObject({ shards: { refill: [] }, gateways: { replicas: 2, hold: true } });
  });

  test.each([
    ['it works', observedOf({ spec }), queueOf()],
    ['it only does not answer', observedOf({ spec }), queueOf(factsOf(0), silent(1))],
    [
      'the entry is about an earlier incarnation',
      observedOf({ spec: spec.replace('incarnation-1', 'older') }),
      queueOf(factsOf(0), lost),
    ],
    ['there is no such shard', observedOf({ spec: spec.replace('shard: 1', 'shard: 7') }), queueOf(factsOf(0), lost)],
    ['all is sealed', observedOf({ spec, status: sealedStatus() }), queueOf(factsOf(0), lost)],
  ])('is left alone when %s', (_, observed, queue) => {
    expect(plan(observed, queue).shards.refill).toEqual([]);
  });
});

test('more students get gateways, never another number of shards', () => {
  const grown = plan(observedOf({ spec: 'redis: {studentsPerShard: 100}', status: statusOfPast() }));
  expect(grown.shards.count).toBe(2);
  const session = observedOf().session;
  const more = { ...session, spec: { ...session.spec, students: 100_000 } };
  expect(plan(observedOf({ session: more }))).toMatchObject({ shards: { count: 2 }, gateways: { replicas: 21 } });
});
