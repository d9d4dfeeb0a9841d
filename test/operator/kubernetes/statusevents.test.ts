import { expect, test } from 'vitest';
import type { ConditionType } from '#operator/conditions.ts';
import { statusNotes } from '#operator/kubernetes/statusevents.ts';
import type { Condition } from '#operator/status.ts';
import { statusOfPast } from '#test/operator/facts.ts';

function conditionOf(type: ConditionType, status: Condition['status'], reason = 'Because'): Condition {
  return { type, status, reason, message: `why ${reason}`, lastTransitionTime: 'then', observedGeneration: 1 };
}

function notes(before: Condition[] | null, after: Condition[]) {
  const past = before === null ? null : statusOfPast({ conditions: before });
  return statusNotes(past, statusOfPast({ conditions: after })).map(({ type, reason }) => `${type} ${reason}`);
}

test('a new phase is told once', () => {
  const [before, after] = [statusOfPast(), statusOfPast({ phase: 'Draining' })];
  expect(statusNotes(before, after)).toMatchObject([{ type: 'Normal', reason: 'Draining' }]);
  expect(statusNotes(after, after)).toEqual([]);
  expect(statusNotes(before, statusOfPast({ phase: 'Failed' }))).toMatchObject([{ type: 'Warning' }]);
});

test.each<[string, Condition[] | null, Condition[], string[]]>([
  [
    'a session that begins well is no news',
    null,
    [conditionOf('Accepted', 'True'), conditionOf('Degraded', 'False')],
    ['Normal Active'],
  ],
  ['a refused edit', [conditionOf('Accepted', 'True')], [conditionOf('Accepted', 'False')], ['Warning NotAccepted']],
  ['trouble', [conditionOf('Degraded', 'False')], [conditionOf('Degraded', 'True', 'Full')], ['Warning Degraded']],
  [
    'other trouble',
    [conditionOf('Degraded', 'True', 'Full')],
    [conditionOf('Degraded', 'True', 'Lost')],
    ['Warning Degraded'],
  ],
  ['trouble that goes on', [conditionOf('Degraded', 'True')], [conditionOf('Degraded', 'True')], []],
  ['trouble that is over', [conditionOf('Degraded', 'True')], [conditionOf('Degraded', 'False')], ['Normal Recovered']],
  ['the seal', [conditionOf('Sealed', 'False')], [conditionOf('Sealed', 'True')], ['Normal Sealed']],
  ['another reason to wait', [conditionOf('Sealed', 'False')], [conditionOf('Sealed', 'False', 'Other')], []],
  [
    'an attempt that failed',
    [conditionOf('Exported', 'False')],
    [conditionOf('Exported', 'False', 'Failed')],
    ['Warning ExportFailed'],
  ],
  ['the proof', [conditionOf('Verified', 'False')], [conditionOf('Verified', 'True')], ['Normal Verified']],
])('%s', (_, before, after, expected) => {
  expect(notes(before, after)).toEqual(expected);
});
