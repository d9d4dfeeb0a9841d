import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addEvent, type Batch, createBatch, describeWriters, emptyBatch, trimBatch } from '#queue/batch.ts';
import { createBatchQueue } from '#queue/batchqueue.ts';
import { originChain } from '#queue/chain.ts';
import { unpackEvents } from '#queue/codec.ts';
import { chainEvent, createLane, drop, type LaneRecord, settle } from '#queue/lane.ts';
import { limits } from '#queue/limits.ts';

function lanes(count: number, student = 'student'): LaneRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const [name, writer] = [`${student} ${i}`, `writer-${i}-xyz`];
    return createLane(name, writer, { seq: 0, chain: originChain('uid', name, writer) });
  });
}

/** Offers one event as the shard writer does. */
function offer(batch: Batch, lane: LaneRecord, text: string): boolean {
  chainEvent(lane, Buffer.from(text));
  return addEvent(batch, lane, Buffer.from(text), 7);
}

function contents(batch: Batch): string[] {
  return unpackEvents(batch.bytes.subarray(0, batch.length)).map(
    ({ student, seq, late, payload }) => `${student} ${seq} ${late} ${payload}`,
  );
}

const step = fc.tuple(
  fc.constantFrom('offer', 'offer', 'offer', 'offer', 'drop', 'settle', 'late', 'trim'),
  fc.nat({ max: 3 }),
);

test('after a trim a batch holds exactly what still waits, in order, with the flags of now, and describes it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const batch = createBatch();
      const all = lanes(4);
      let waiting: { lane: LaneRecord; seq: number; text: string }[] = [];
      // A batch is trimmed when it flies, and what is offered from then on goes into the next one.
      let isFlying = false;
      for (const [i, [act, which]] of steps.entries()) {
        const lane = all[which]!;
        if (act === 'offer' && !isFlying) {
          expect(offer(batch, lane, `"${i}"`)).toBe(true);
          waiting.push({ lane, seq: lane.head.seq, text: `"${i}"` });
        }
        if (act === 'drop') {
          drop(lane, lane.durable);
          waiting = waiting.filter((event) => event.lane !== lane);
        }
        // Another process is found to have stored the first of what waits.
        const first = waiting.find((event) => event.lane === lane);
        if (act === 'settle' && first) {
          settle(lane, { seq: first.seq, chain: 'a'.repeat(64) });
          waiting.splice(waiting.indexOf(first), 1);
        }
        if (act === 'late') lane.late = !lane.late;
        if (act !== 'trim') continue;
        isFlying = true;
        trimBatch(batch);
        const expected = waiting.map(({ lane: of, seq, text }) => `${of.student} ${seq} ${of.late} ${text}`);
        expect(contents(batch)).toEqual(expected);
        expect(batch.count).toBe(expected.length);
        const described = describeWriters(batch);
        expect(described.length / 5).toBe(new Set(waiting.map((event) => event.lane)).size);
        for (let at = 0; at < described.length; at += 5) {
          const own = waiting.filter((event) => event.lane.student === described[at]);
          expect(described[at + 2]).toBe(`${own[0]!.lane.durable.seq}:${own[0]!.lane.durable.chain}`);
          expect(described[at + 3]).toBe(`${own.at(-1)!.seq}:${own[0]!.lane.head.chain}`);
          expect(described[at + 4]).toBe(own[0]!.lane.late ? '1' : '0');
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('events of a lane that was dropped and offered anew share a batch without being mixed up', () => {
  const batch = createBatch();
  const [ann, bob] = lanes(2) as [LaneRecord, LaneRecord];
  offer(batch, ann, '1');
  offer(batch, bob, '2');
  drop(ann, ann.durable);
  offer(batch, ann, '3');
  trimBatch(batch);
  expect(contents(batch)).toEqual(['student 1 1 false 2', 'student 0 1 false 3']);
});

test('events that are in no batch are a defect that is not sent', () => {
  const batch = createBatch();
  const [ann] = lanes(1) as [LaneRecord];
  chainEvent(ann, Buffer.from('1'));
  offer(batch, ann, '2');
  expect(() => trimBatch(batch)).toThrow(/defect: events of "student 0" after 0 are in no batch/);
});

test('a batch takes no more than the append script does: bytes, events, writers', () => {
  const [ann] = lanes(1) as [LaneRecord];
  const large = `"${'x'.repeat(limits.payloadBytes - 2)}"`;
  const bytes = createBatch();
  while (offer(bytes, ann, large));
  expect(bytes.length).toBeLessThanOrEqual(limits.batchBytes);
  expect(bytes.length).toBeGreaterThan(limits.batchBytes - limits.payloadBytes - 100);

  const events = createBatch();
  while (offer(events, ann, '1'));
  expect(events.count).toBe(limits.batchEvents);

  const writers = createBatch();
  const many = lanes(limits.batchWriters + 1);
  expect(many.map((lane) => offer(writers, lane, '1')).lastIndexOf(true)).toBe(limits.batchWriters - 1);
  // Lanes that are in it already may go on.
  expect(offer(writers, many[5]!, '2')).toBe(true);
  expect(unpackEvents(writers.bytes.subarray(0, writers.length))).toHaveLength(limits.batchWriters + 1);
  emptyBatch(writers);
  expect(contents(writers)).toEqual([]);
});

test('a queue gives out what was added, in order, and counts what waits or flies', () => {
  const queue = createBatchQueue();
  const many = lanes(limits.batchWriters + 500);
  for (const round of [1, 2]) {
    for (const lane of many) {
      chainEvent(lane, Buffer.from(`${round}`));
      queue.add(lane, Buffer.from(`${round}`), 7);
    }
  }
  expect(queue.events).toBe(3_000);
  const seen: string[] = [];
  for (let batch = queue.take(); batch; batch = queue.take()) {
    seen.push(...contents(batch));
    for (const [place, lane] of batch.lanes.entries()) settle(lane, batch.afters[place]!);
    queue.done(batch);
  }
  expect(seen).toEqual([1, 2].flatMap((round) => many.map(({ student }) => `${student} ${round} false ${round}`)));
  expect([queue.events, queue.bytes]).toEqual([0, 0]);
});
