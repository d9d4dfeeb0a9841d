import { describe, expect, test } from 'vitest';
import { type ConditionType, conditions } from '#operator/conditions.ts';
import { planSession } from '#operator/plan.ts';
import type { Observed, Sample } from '#operator/platform.ts';
import type { QueueFacts } from '#operator/queuecontrol.ts';
import { defaultSettings as settings } from '#operator/settings.ts';
import { type SessionStatus, statusOf } from '#operator/status.ts';
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

function status(observed: Observed, queue: QueueFacts = queueOf(), sample: Sample | null = null): SessionStatus {
  const desired = planSession(observed, queue, now, settings);
  return statusOf({ observed, queue, desired, now, settings }, sample, { seal: null });
}

function condition(of: SessionStatus, type: ConditionType) {
  return of.conditions.find((one) => one.type === type)!;
}

const nothing = { identity: { uid: 'uid', shards: [] }, shards: [], gateways: [] };
const none: QueueFacts = { shards: [], now: null };
const lost = silent(1, {
  phase: 'lost',
  fault: { code: 'shard_lost', message: 'this Redis ends at entry 5', remedy: 'attach the newest volume' },
});

describe('the phase', () => {
  const table: [phase: string, what: string, observed: Observed, queue: QueueFacts][] = [
    ['Pending', 'it opens later', observedOf({ ...nothing, spec: 'opensAt: "2026-05-04T11:00:00Z"' }), none],
    ['Provisioning', 'nothing is there', observedOf(nothing), none],
    ['Active', 'students answer', observedOf(), queueOf()],
    [
      'Active',
      'a shard is lost while students answer',
      observedOf({ status: statusOfPast() }),
      queueOf(factsOf(0), lost),
    ],
    ['Failed', 'a shard is lost before anybody could connect', observedOf(), queueOf(factsOf(0), lost)],
    [
      'Failed',
      'a shard is lost and cannot be sealed',
      observedOf({ spec: 'phase: Finalizing' }),
      queueOf(factsOf(0), lost),
    ],
    ['Draining', 'it is finalized', observedOf({ spec: 'phase: Finalizing' }), queueOf()],
    ['Draining', 'it is being sealed', observedOf({ status: statusOfPast({ sealing: 'x' }) }), queueOf()],
    ['Exporting', 'it is sealed', observedOf({ status: sealedStatus() }), queueOf()],
    [
      'Exporting',
      'an attempt failed',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'failed', endedAt: now, fault }) }),
      queueOf(),
    ],
    [
      'Failed',
      'an attempt is blocked',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'blocked', endedAt: now, fault }) }),
      queueOf(),
    ],
    [
      'Exporting',
      'what blocked was mended',
      observedOf({
        generation: 2,
        status: sealedStatus(),
        attempt: attemptOf({ state: 'blocked', endedAt: now, fault }),
      }),
      queueOf(),
    ],
    ['Completed', 'it is verified', observedOf({ status: sealedStatus(), attempt: succeeded() }), queueOf()],
    ['Failed', 'no gateway can start', observedOf({ gateways: [gatewayOf(1, { ready: false, fault })] }), queueOf()],
  ];
  test.each(table)('is %s when %s', (phase, _, observed, queue) => {
    expect(status(observed, queue).phase).toBe(phase);
  });
});

describe('the conditions', () => {
  test('all have a reason in one word and a message that says something', () => {
    const [observed, queue] = [observedOf(), queueOf()];
    const all = status(observed, queue).conditions;
    expect(all.map(({ type }) => type)).toEqual(Object.keys(conditions));
    for (const { reason, message } of all) {
      expect(reason).toMatch(/^[A-Za-z][A-Za-z_]*$/);
      expect(message.length).toBeGreaterThan(15);
    }
  });

  const table: [
    what: string,
    type: ConditionType,
    expected: string,
    reason: string,
    says: string,
    observed: Observed,
    queue?: QueueFacts,
  ][] = [
    ['students can answer', 'Ready', 'True', 'Open', 'http://127.0.0.1:8080/exam', observedOf()],
    [
      'an edit is refused',
      'Accepted',
      'False',
      'Invalid',
      'the one before it still is: the database',
      observedOf({ editFault: fault }),
    ],
    [
      'a field has no effect on one machine',
      'Accepted',
      'True',
      'Valid',
      'The session is in force as it stands. On one machine these fields have no effect: spec.export.keepQueueFor.',
      observedOf({ spec: 'export: {keepQueueFor: 14d}' }),
    ],
    [
      'a field has its effect on a cluster',
      'Accepted',
      'True',
      'Valid',
      'The session is in force as it stands.',
      observedOf({ spec: 'export: {keepQueueFor: 14d}', place: 'cluster' }),
    ],
    [
      'shards are being made',
      'QueueReady',
      'False',
      'Starting',
      '1 of 2 shards',
      observedOf({ identity: { uid: 'uid', shards: [birthOf(0), birthOf(1, false)] } }),
    ],
    [
      'a shard is down',
      'QueueReady',
      'False',
      'ShardsMissing',
      'Waiting for shard 1',
      observedOf(),
      queueOf(factsOf(0), silent(1)),
    ],
    [
      'a shard is lost',
      'QueueReady',
      'False',
      'shard_lost',
      'What to do: attach the newest volume',
      observedOf(),
      queueOf(factsOf(0), lost),
    ],
    [
      'a shard is lost',
      'Ready',
      'False',
      'QueueNotReady',
      'attach the newest volume',
      observedOf(),
      queueOf(factsOf(0), lost),
    ],
    [
      'a shard is lost',
      'Degraded',
      'True',
      'shard_lost',
      'attach',
      observedOf({ status: statusOfPast() }),
      queueOf(factsOf(0), lost),
    ],
    [
      'a Redis keeps ending',
      'QueueReady',
      'False',
      'sink_down',
      'start it',
      observedOf({ shards: [shardObserved(0, { fault })] }),
      queueOf(factsOf(0), silent(1)),
    ],
    [
      'a gateway starts',
      'GatewayReady',
      'False',
      'Starting',
      '1 of 2 gateways',
      observedOf({ gateways: [gatewayOf(1), gatewayOf(2, { ready: false })] }),
    ],
    [
      'a gateway keeps ending',
      'GatewayReady',
      'False',
      'sink_down',
      'What to do',
      observedOf({ gateways: [gatewayOf(1), gatewayOf(2, { ready: false, fault })] }),
    ],
    ['nothing is asked', 'Sealed', 'False', 'Open', 'Set spec.phase to Finalizing', observedOf()],
    [
      'it finalizes by itself',
      'Sealed',
      'False',
      'Open',
      'by itself at 2026-05-04T12:00',
      observedOf({ spec: 'closesAt: "2026-05-04T12:00:00Z", autoFinalize: true' }),
    ],
    [
      'it drains',
      'Sealed',
      'False',
      'Draining',
      'spec.phase: Active takes it back',
      observedOf({ spec: 'phase: Finalizing' }),
    ],
    [
      'it drains early',
      'Sealed',
      'False',
      'Draining',
      'would have had time until 2026-05-04T12:00',
      observedOf({ spec: 'phase: Finalizing, closesAt: "2026-05-04T12:00:00Z"' }),
    ],
    [
      'sealing waits',
      'Sealed',
      'False',
      'Sealing',
      'Waiting for shard 0',
      observedOf({ status: statusOfPast({ sealing: 'x' }) }),
      queueOf(silent(0), factsOf(1)),
    ],
    ['it is sealed', 'Sealed', 'True', 'Sealed', root, observedOf({ status: sealedStatus() })],
    [
      'an attempt runs',
      'Exported',
      'False',
      'Running',
      'Attempt 1: load, 50 of 200 rows',
      observedOf({ status: sealedStatus(), attempt: attemptOf() }),
    ],
    [
      'an attempt is held up',
      'Exported',
      'False',
      fault.code,
      'Attempt 1 is held up: the database does not answer. What to do: start it',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ fault }) }),
    ],
    [
      'an attempt failed',
      'Exported',
      'False',
      'Failed',
      'the database does not answer. What to do: start it. The queue is kept. Attempt 2 begins at 2026-05-04T10:00:02',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'failed', endedAt: now, fault }) }),
    ],
    [
      'an attempt is blocked',
      'Exported',
      'False',
      'Blocked',
      'at once when the session is edited',
      observedOf({ status: sealedStatus(), attempt: attemptOf({ state: 'blocked', endedAt: now, fault }) }),
    ],
    [
      'it is verified',
      'Exported',
      'True',
      'Published',
      '200 rows',
      observedOf({ status: sealedStatus(), attempt: succeeded() }),
    ],
    [
      'it is verified',
      'Verified',
      'True',
      'RootEqual',
      root,
      observedOf({ status: sealedStatus(), attempt: succeeded() }),
    ],
    [
      'a shard is full',
      'Degraded',
      'True',
      'Full',
      'shard 0 at 90 %',
      observedOf(),
      queueOf(factsOf(0, { memory: { usedBytes: 90, maxBytes: 100 } }), factsOf(1)),
    ],
    [
      'the disk is small',
      'Degraded',
      'True',
      'DiskSmall',
      '0.5 GB',
      observedOf({ shards: [shardObserved(0, { storage: { usedBytes: 0, capacityBytes: 5e8 } })] }),
    ],
    ['all is well', 'Degraded', 'False', 'AsPlanned', 'as planned', observedOf()],
    ['somebody asked for it', 'Paused', 'True', 'Asked', 'only looks', observedOf({ paused: true })],
    ['nobody asked for it', 'Paused', 'False', 'Running', 'what the session needs', observedOf()],
  ];
  test.each(table)('when %s: %s is %s', (_, type, expected, reason, says, observed, queue) => {
    const found = condition(status(observed, queue), type);
    expect([found.status, found.reason]).toEqual([expected, reason]);
    expect(found.message).toContain(says);
  });

  test('keep the time of their last change', () => {
    const before = status(observedOf()).conditions.map((one) => ({
      ...one,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    }));
    const past = statusOfPast({ conditions: before });
    const after = status(observedOf({ status: past, generation: 7 }), queueOf(factsOf(0), silent(1)));
    expect(condition(after, 'GatewayReady').lastTransitionTime).toBe('2026-01-01T00:00:00Z');
    expect(condition(after, 'QueueReady').lastTransitionTime).toBe('2026-05-04T10:00:00.000Z');
    expect(condition(after, 'GatewayReady').observedGeneration).toBe(7);
  });
});

describe('the counts', () => {
  const sample = { connections: 90, students: 80, pendingEvents: 5, ackMs: { p50: 1, p99: 2, max: 3, count: 4 } };

  test('add up the shards and what the gateways hold', () => {
    expect(status(observedOf(), queueOf(), sample)).toMatchObject({
      students: { expected: 4000, connected: 80, seen: 20, finished: 6 },
      events: { accepted: 205, durable: 200, exported: 0 },
      ackMs: sample.ackMs,
    });
  });

  test('of a shard that cannot be asked stay as they were', () => {
    const past = statusOfPast({ redis: { witnesses: [factsOf(1).witness!], root: null } });
    const { events, students, redis } = status(observedOf({ status: past }), queueOf(factsOf(0), silent(1)));
    expect(events.durable).toBe(200);
    expect(students).toMatchObject({ seen: 5, finished: 1 });
    expect(redis.witnesses.map(({ shard }) => shard)).toEqual([0, 1]);
  });

  test('of a shard that was made anew begin anew', () => {
    const past = statusOfPast({
      redis: { witnesses: [{ ...factsOf(1).witness!, incarnation: 'given up' }], root: null },
    });
    const { redis } = status(observedOf({ status: past }), queueOf(factsOf(0), silent(1)));
    expect(redis.witnesses.map(({ shard }) => shard)).toEqual([0]);
  });

  test('after the seal the witnesses never change', () => {
    const past = sealedStatus();
    const older = factsOf(0, { witness: { ...factsOf(0).witness!, lastId: '5-0', events: 3 } });
    expect(status(observedOf({ status: past }), queueOf(older, factsOf(1))).redis).toEqual(past.redis);
  });
});

describe("telling the students' devices", () => {
  const verified = (shard: number) => factsOf(shard, { session: { ...factsOf(shard).session!, verified: root } });
  const answering = [gatewayOf(3, { mode: 'answer' })];
  const observed = observedOf({ status: sealedStatus(), attempt: succeeded(), gateways: answering });

  test('begins when every shard says it and a gateway answers', () => {
    expect(status(observed, queueOf(verified(0), factsOf(1))).export!.toldAt).toBeNull();
    expect(status({ ...observed, gateways: [] }, queueOf(verified(0), verified(1))).export!.toldAt).toBeNull();
    const told = status(observed, queueOf(verified(0), verified(1)));
    expect(told.export!.toldAt).toBe('2026-05-04T10:00:00.000Z');
    const later = statusOf(
      {
        observed: { ...observed, status: told },
        queue: queueOf(),
        desired: planSession(observed, queueOf(), now, settings),
        now: now + 5_000,
        settings,
      },
      null,
      { seal: null },
    );
    expect(later.export!.toldAt).toBe('2026-05-04T10:00:00.000Z');
  });
});

test('nothing about single students is in the status', () => {
  const roster = new Map([['ada.lovelace', 15]]);
  const text = JSON.stringify(status(observedOf({ roster, spec: 'closesAt: "2026-05-04T12:00:00Z"' })));
  expect(text).not.toContain('ada.lovelace');
});
