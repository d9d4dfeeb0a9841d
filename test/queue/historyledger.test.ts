import { expect, test } from 'vitest';
import { shardOf } from '#queue/identity.ts';
import { findFaults, type History } from './historyledger.ts';
import { share, testWriter } from './testwriter.ts';

const uid = 'uid';

/** A history without a fault: two writers, three events each, all acknowledged. */
function goodHistory() {
  const writers = ['ann', 'bob'].map((student) => testWriter(uid, student, 'writer-1'));
  const events = writers.flatMap((writer) => share(writer, 3).events);
  const noted = events.map(({ student, writer, seq, payload }) => ({ student, writer, seq, text: `${payload}` }));
  const inShard = <T extends { student: string }>(all: T[]) =>
    [0, 1].map((shard) => all.filter(({ student }) => shardOf(student, 2) === shard));
  return {
    uid,
    acknowledged: [...noted],
    sent: [...noted],
    logs: inShard(events),
    writers: inShard(writers.map(({ student, writer, state }) => ({ student, writer, state }))),
  } satisfies History;
}

const shardOfAnn = shardOf('ann', 2);

test('a good history has no fault', () => {
  expect(findFaults(goodHistory())).toEqual([]);
});

const planted: [fault: string, plant: (history: ReturnType<typeof goodHistory>) => void, expected: RegExp][] = [
  ['an event lost', ({ logs }) => void logs[shardOfAnn]!.splice(-1), /was acknowledged and is not in the log/],
  ['an event twice', ({ logs }) => void logs[shardOfAnn]!.push(logs[shardOfAnn]![0]!), /is in the log twice/],
  ['events in another order', ({ logs }) => void logs[shardOfAnn]!.reverse(), /comes after seq 0/],
  ['other bytes', ({ acknowledged }) => void acknowledged.push({ ...acknowledged[0]!, text: '0' }), /as 0, not/],
  ['an event that nobody sent', ({ sent }) => void sent.pop(), /was sent by nobody/],
  ['an event in the wrong shard', ({ logs }) => void logs.reverse(), /is in shard/],
  [
    'a state of another log',
    ({ writers }) => void Object.assign(writers[shardOfAnn]![0]!.state, { chain: 'x' }),
    /differ/,
  ],
  ['a writer lost', ({ writers }) => void writers[shardOfAnn]!.pop(), /1 writers are stored, 2 are in the log/],
];

test.each(planted)('%s is found', (_, plant, expected) => {
  const history = goodHistory();
  plant(history);
  expect(findFaults(history).join('\n')).toMatch(expected);
});
