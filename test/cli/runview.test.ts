import { expect, test } from 'vitest';
import { changes } from '#cli/runview.ts';
import { complaints } from '#cli/statusfile.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import type { Condition } from '#operator/status.ts';

const condition = (type: Condition['type'], status: Condition['status'], message: string): Condition => ({
  type,
  status,
  reason: message.replaceAll(' ', ''),
  message,
  lastTransitionTime: '2026-01-01T00:00:00.000Z',
  observedGeneration: 1,
});

const statusOf = (phase: LocalStatus['phase'], ...conditions: Condition[]) =>
  ({ phase, url: phase === 'Active' ? 'http://127.0.0.1:1/exam' : null, conditions }) as unknown as LocalStatus;

test('a line when the phase or a condition changes, none when only counts do', () => {
  const before = statusOf('Provisioning', condition('QueueReady', 'False', 'Waiting'));
  const after = statusOf('Active', condition('QueueReady', 'True', 'All 2 shards'), condition('Ready', 'True', 'Open'));
  expect(changes(undefined, before)).toEqual(['Provisioning']);
  expect(changes(before, after)).toEqual([
    'Active  http://127.0.0.1:1/exam',
    '  QueueReady True: All 2 shards',
    '  Ready True: Open',
  ]);
  expect(changes(after, after)).toEqual([]);
});

test('what two conditions say alike is said once', () => {
  const both = [condition('QueueReady', 'False', 'shard 0 is away'), condition('Ready', 'False', 'shard 0 is away')];
  expect(changes(statusOf('Active'), statusOf('Active', ...both))).toEqual(['  QueueReady False: shard 0 is away']);
});

test('of a failed session the cause is told, not what follows from it', () => {
  const conditions = [
    condition('QueueReady', 'True', 'All 2 shards'),
    condition('Ready', 'False', 'The exam is over'),
    condition('Sealed', 'True', 'Sealed'),
    condition('Exported', 'False', 'The table has other columns'),
    condition('Verified', 'False', 'Comes after the export'),
  ];
  expect(complaints(statusOf('Failed', ...conditions))).toEqual(['The table has other columns']);
  expect(complaints(statusOf('Exporting', ...conditions))).toEqual([]);
});
