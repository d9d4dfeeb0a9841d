import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emptyTrail, extendTrail, type Mark } from '#exporter/trail.ts';
import { anyEvent } from '#test/queue/arbitraries.ts';

const anyMark: fc.Arbitrary<Mark> = anyEvent.map((event) => ({ ...event, durableAt: event.receivedAt + 5 }));

function digestOf(marks: readonly Mark[]): string {
  const trail = emptyTrail();
  for (const mark of marks) extendTrail(trail, mark);
  expect(trail.rows).toBe(marks.length);
  return trail.digest;
}

test('the same marks in the same order have the same digest, and only those', () => {
  const marks = fc.array(anyMark, { maxLength: 5 });
  fc.assert(
    fc.property(marks, marks, (one, two) => {
      const plain = (list: readonly Mark[]) =>
        list.map((mark) => [
          mark.writer,
          mark.seq,
          mark.payload.toString(),
          mark.receivedAt,
          mark.durableAt,
          mark.late,
        ]);
      const same = JSON.stringify(plain(one)) === JSON.stringify(plain(two));
      expect(digestOf(one) === digestOf(two)).toBe(same);
      expect(digestOf(one)).toBe(digestOf(one.map((mark) => ({ ...mark, payload: Buffer.from(mark.payload) }))));
    }),
  );
});

test('a change to any part of any mark, or to the order, shows', () => {
  const base: Mark[] = [1, 2, 3].map((seq) => ({
    ...{
      writer: 'writer-1',
      seq,
      payload: Buffer.from(`"${seq}"`),
      receivedAt: 10 * seq,
      durableAt: 11 * seq,
      late: false,
    },
  }));
  const changes: Partial<Mark>[] = [
    { writer: 'writer-2' },
    { seq: 9 },
    { payload: Buffer.from('"3" ') },
    { payload: Buffer.alloc(0) },
    { payload: Buffer.alloc(100_000) },
    { writer: 'writer-1"', payload: Buffer.from('3"') },
    { receivedAt: 31 },
    { receivedAt: -1 },
    { durableAt: 2 ** 50 },
    { late: true },
    { late: null },
  ];
  const digests = changes.flatMap((change) => [0, 2].map((at) => digestOf(base.with(at, { ...base[at]!, ...change }))));
  digests.push(digestOf(base), digestOf(base.toReversed()), digestOf(base.slice(1)), digestOf([...base, base[2]!]));
  expect(new Set(digests).size).toBe(digests.length);
});
