import { expect, test } from 'vitest';
import {
  deletingStatus,
  differsInCountsOnly,
  refusedStatus,
  type TroubleInput,
  troubledStatus,
} from '#operator/kubernetes/sessionstatus.ts';
import { readStatus, storedStatus } from '#operator/statusschema.ts';
import { fault, now, sealedStatus, statusOfPast, witnessOf } from '#test/operator/facts.ts';

const ref = { namespace: 'exams', name: 'algebra', uid: 'uid' };
const input = (known: TroubleInput['known']): TroubleInput => ({ ref, generation: 3, known, now });

test('a session of which nothing is known yet gets a status that can be stored', () => {
  for (const status of [refusedStatus(input(null), fault), troubledStatus(input(null), fault)]) {
    expect(readStatus(storedStatus(status))).toEqual(status);
  }
  expect(refusedStatus(input(null), fault)).toMatchObject({ phase: 'Pending', observedGeneration: 3 });
});

test('trouble keeps what is known, and the time when it began', () => {
  const first = troubledStatus(input(sealedStatus()), fault);
  expect(first).toMatchObject({ ...sealedStatus(), conditions: first.conditions, observedGeneration: 3 });
  expect(first.conditions).toMatchObject([{ type: 'Degraded', status: 'True', reason: 'SinkDown' }]);
  const later = troubledStatus({ ...input(first), now: now + 60_000 }, fault);
  expect(later).toEqual(first);
});

test('a deletion that waits, and one that cannot go on, say so', () => {
  const waiting = deletingStatus(input(statusOfPast({ url: 'http://x' })), '2 gateway pods to end', null);
  expect(waiting.url).toBeNull();
  expect(waiting.conditions.map(({ type, status }) => `${type} ${status}`)).toEqual([
    'Ready False',
    'GatewayReady False',
    'QueueReady False',
  ]);
  const stuck = deletingStatus(input(waiting), '', fault);
  expect(stuck.conditions.find(({ type }) => type === 'Degraded')?.message).toContain('the database does not answer');
});

test('counts alone are worth a write now and then only; what a session is decided by, at once', () => {
  const before = statusOfPast({ redis: { witnesses: [witnessOf(0)], root: null } });
  const grown = { ...witnessOf(0), events: 200, lastId: '9-0' };
  const counted = { ...before, students: { ...before.students, seen: 9 }, redis: { witnesses: [grown], root: null } };
  expect(differsInCountsOnly(before, counted)).toBe(true);
  for (const change of [
    { phase: 'Draining' as const },
    { sealing: 'now' },
    { drainUntil: 5 },
    { redis: { witnesses: [{ ...grown, incarnation: 'another' }], root: null } },
    { redis: { witnesses: [grown], root: 'root' } },
  ]) {
    expect(differsInCountsOnly(before, { ...counted, ...change })).toBe(false);
  }
});
