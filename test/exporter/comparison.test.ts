import { expect, test } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import { compareRows } from '#exporter/comparison.ts';
import { differencesOf, rowTraceOf, traceOf } from '#exporter/differences.ts';
import type { Row } from '#exporter/row.ts';
import type { Sealed } from '#exporter/sealed.ts';
import { emptyTrail, extendTrail, type Trail } from '#exporter/trail.ts';
import { formatState, nextChain, originChain } from '#queue/chain.ts';
import { sessionRoot } from '#queue/merkle.ts';

const plan: AttemptPlan = {
  session: { name: 'algebra', uid: 'uid', exam: 'algebra', rehearsal: false },
  attempt: 1,
  target: '',
  table: 'T',
  batchRows: 10,
  witnesses: [{ shard: 0, lastId: '1-1', events: 6, digest: '' }],
  root: '',
};

/** Three rows a student, as they must be. */
function rowsOf(student: string): Row[] {
  return [1, 2, 3].map((seq) => ({
    ...{ exam: 'algebra', sessionUid: 'uid', student, orderNo: seq, writer: 'writer-1', seq, shard: 0, late: false },
    ...{ payload: Buffer.from(`"${seq}"`), receivedAt: 10 * seq, durableAt: 11 * seq },
  }));
}

/** The queue that has these events. */
function sealedOf(rows: readonly Row[]): Sealed {
  const trails = new Map<string, Trail>();
  const writers = new Map<string, string>();
  const chains = new Map<string, string>();
  for (const row of rows) {
    const trail = trails.get(row.student) ?? emptyTrail();
    trails.set(row.student, trail);
    extendTrail(trail, row);
    const field = `${row.writer}:${row.student}`;
    chains.set(field, nextChain(chains.get(field) ?? originChain('uid', row.student, row.writer), row.payload));
    writers.set(field, formatState({ seq: row.seq, chain: chains.get(field)! }));
  }
  return { trails, writers, finished: new Map(), events: rows.length };
}

function compare(sealed: readonly Row[], stored: readonly Row[]) {
  const comparer = compareRows(plan, sealedOf(sealed));
  // Batches end anywhere, also within a student.
  for (let from = 0; from < stored.length; from += 2) comparer.take(stored.slice(from, from + 2));
  return comparer.end();
}

const [ann, bob] = [rowsOf('ann'), rowsOf('bob')];

test('rows that are those of the log raise no suspicion, and give the session’s root', () => {
  const { suspects, conflicts, writers, rows, students } = compare([...ann, ...bob], [...bob, ...ann]);
  expect({ suspects, conflicts, rows, students }).toEqual({ suspects: [], conflicts: [], rows: 6, students: 2 });
  const chain = (student: string) =>
    rowsOf(student).reduce(
      (before, { payload }) => nextChain(before, payload),
      originChain('uid', student, 'writer-1'),
    );
  const leaf = (student: string) => ({ student, writer: 'writer-1', state: { seq: 3, chain: chain(student) } });
  expect(sessionRoot(writers)).toBe(sessionRoot([leaf('ann'), leaf('bob')]));
});

test('whoever has a row too many, too few, changed or at another place is suspected, and nobody else', () => {
  const changed = (at: number, change: Partial<Row>) => [...bob, ...ann.with(at, { ...ann[at]!, ...change })];
  for (const stored of [
    ...[[...bob, ...ann.slice(1)], [...bob, ...ann.slice(0, 2)], [...bob, ...ann, ann[2]!], bob],
    ...[changed(1, { payload: Buffer.from('"x"') }), changed(1, { payload: Buffer.alloc(20_000) })],
    ...[changed(0, { receivedAt: 1 }), changed(0, { durableAt: 1 }), changed(0, { late: true })],
    ...[changed(2, { seq: 4 }), changed(2, { writer: 'writer-2' }), changed(2, { orderNo: 4 })],
    ...[changed(2, { exam: 'other' }), changed(2, { shard: 1 })],
    // Not together: what a sink promises and must keep.
    [...ann.slice(0, 2), ...bob, ann[2]!],
  ]) {
    expect(new Set(compare([...ann, ...bob], stored).suspects)).toEqual(new Set(['ann']));
  }
  expect(compare(ann, [...ann, ...bob]).suspects).toEqual(['bob']);
});

test('a writer whose sealed state is not that of the rows is a conflict of the queue with itself', () => {
  const sealed = sealedOf([...ann, ...bob]);
  sealed.writers.set('writer-1:ann', '2:0000');
  sealed.writers.set('writer-9:bob', '1:1111');
  const comparer = compareRows(plan, sealed);
  comparer.take([...ann, ...bob]);
  expect(comparer.end().conflicts).toEqual([
    { student: 'ann', writer: 'writer-1', rows: sealedOf(ann).writers.get('writer-1:ann'), sealed: '2:0000' },
    { student: 'bob', writer: 'writer-9', rows: null, sealed: '1:1111' },
  ]);
});

test('differences name every row in question, and only those', () => {
  const found = (stored: readonly Row[]) =>
    differencesOf('ann', ann.map(traceOf), stored.map(rowTraceOf), { exam: 'algebra', shard: 0 }).map(
      ({ kind, writer, seq }) => `${kind} ${writer} ${seq}`,
    );
  expect(found(ann)).toEqual([]);
  expect(found([ann[0]!, ann[2]!])).toEqual(['missing writer-1 2']);
  expect(found([...ann, { ...ann[1]!, orderNo: 4 }])).toEqual(['doubled writer-1 2']);
  expect(found([...ann, { ...ann[1]!, writer: 'writer-2' }])).toEqual(['foreign writer-2 2']);
  expect(found(ann.with(0, { ...ann[0]!, late: true, receivedAt: 0, orderNo: 9 }))).toEqual([
    'changed writer-1 1',
    'changed writer-1 1',
    'disordered writer-1 1',
  ]);
});
