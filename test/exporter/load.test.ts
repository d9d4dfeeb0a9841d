import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import { rowBatches } from '#exporter/load.ts';
import type { Row } from '#exporter/row.ts';
import type { QueueEvent } from '#queue/codec.ts';
import { shardOf } from '#queue/identity.ts';
import { limits } from '#queue/limits.ts';
import type { LogEntry } from '#queue/log.ts';
import { anyEvent } from '#test/queue/arbitraries.ts';

function planOf(events: readonly number[], batchRows = 5): AttemptPlan {
  return {
    session: { name: 'algebra', uid: 'uid', exam: 'Algebra I', rehearsal: false },
    attempt: 1,
    target: '',
    table: 'T',
    batchRows,
    witnesses: events.map((count, shard) => ({ shard, lastId: '1-1', events: count, digest: '' })),
    root: '',
  };
}

async function* logOf(entries: readonly (readonly QueueEvent[])[]): AsyncGenerator<LogEntry> {
  for (const [i, events] of entries.entries()) yield { id: `${i}-0`, durableAt: 1_000 + i, events: [...events] };
}

async function batchesOf(plan: AttemptPlan, shard: number, entries: readonly (readonly QueueEvent[])[]) {
  const batches: Row[][] = [];
  for await (const batch of rowBatches(plan, shard, logOf(entries))) batches.push(batch);
  return batches;
}

const event = (student: string, seq: number, payload = `"${seq}"`): QueueEvent => ({
  ...{ student, writer: 'writer-1', seq, receivedAt: seq, late: false },
  payload: Buffer.from(payload),
});

test('every event becomes one row, in the order of the log; ORDER_NO counts each student’s own', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(anyEvent, { maxLength: 9 }), { maxLength: 9 }),
      fc.integer({ min: 1, max: 9 }),
      async (entries, batchRows) => {
        const events = entries.flatMap((some, i) => some.map((one) => ({ ...one, durableAt: 1_000 + i })));
        const batches = await batchesOf(planOf([events.length], batchRows), 0, entries);
        const counts = new Map<string, number>();
        const expected = events.map((one) => {
          counts.set(one.student, (counts.get(one.student) ?? 0) + 1);
          return { ...one, exam: 'Algebra I', sessionUid: 'uid', shard: 0, orderNo: counts.get(one.student)! };
        });
        expect(batches.flat()).toEqual(expected);
        expect(batches.every(({ length }) => length >= 1 && length <= batchRows)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});

test('a batch is bounded by bytes too', async () => {
  const payload = `"${'x'.repeat(limits.payloadBytes - 2)}"`;
  const events = Array.from({ length: 1_200 }, (_, i) => event('s', i + 1, payload));
  const batches = await batchesOf(planOf([1_200], 100_000), 0, [events]);
  expect(batches.map(({ length }) => length)).toEqual([512, 512, 176]);
});

test('refuses a log with a student of another shard', async () => {
  const students = Array.from({ length: 50 }, (_, i) => `student-${i}`);
  const [own, other] = [0, 1].map((shard) => students.find((student) => shardOf(student, 2) === shard)!);
  const plan = planOf([2, 0]);
  await expect(batchesOf(plan, 0, [[event(own!, 1), event(other!, 1)]])).rejects.toMatchObject({
    code: 'log_misplaced',
    message: expect.stringContaining(`student "${other}", who belongs to shard 1`),
  });
});

test('does not end well when the log holds more or fewer events than were sealed', async () => {
  for (const events of [1, 3]) {
    await expect(batchesOf(planOf([events]), 0, [[event('s', 1), event('s', 2)]])).rejects.toMatchObject({
      code: 'witness_differs',
      message: `the log of shard 0 holds 2 events, but it was sealed with ${events}`,
    });
  }
});

test('stops when it is told to', async () => {
  const stop = new AbortController();
  const entries = Array.from({ length: 10 }, (_, i) => [event('s', i + 1)]);
  const batches = rowBatches(planOf([10], 1), 0, logOf(entries), { signal: stop.signal });
  await batches.next();
  stop.abort(new Error('told to'));
  await expect(batches.next()).rejects.toThrow('told to');
});
