import { randomUUID } from 'node:crypto';
import type { AttemptPlan } from '#exporter/attempt.ts';
import type { Row } from '#exporter/row.ts';
import type { Sink } from '#exporter/sink.ts';

export const table = 'EXAM_ANSWERS';

/** A plan for a session with so many events in each shard. */
export function planOf(events: readonly number[], changes: Partial<AttemptPlan> = {}): AttemptPlan {
  return {
    session: { name: 'algebra', uid: randomUUID(), exam: 'algebra', rehearsal: false },
    attempt: 1,
    target: 'conformance',
    table,
    batchRows: 50,
    witnesses: events.map((count, shard) => ({ shard, lastId: '1-1', events: count, digest: 'd'.repeat(40) })),
    root: 'e'.repeat(64),
    ...changes,
  };
}

/** Rows of one shard, in log order: three students who take turns, named after the shard. */
export function rowsOf(
  plan: AttemptPlan,
  shard: number,
  changes: (row: Row, i: number) => Partial<Row> = () => ({}),
): Row[] {
  return Array.from({ length: plan.witnesses[shard]!.events }, (_, i) => {
    const row: Row = {
      exam: plan.session.exam,
      sessionUid: plan.session.uid,
      student: `student-${shard}-${i % 3}`,
      orderNo: Math.floor(i / 3) + 1,
      writer: `writer-${i % 3}`,
      seq: Math.floor(i / 3) + 1,
      payload: Buffer.from(JSON.stringify({ shard, i })),
      receivedAt: 1_800_000_000_000 + i,
      durableAt: 1_800_000_000_500 + i,
      late: i % 2 === 1,
      shard,
    };
    return { ...row, ...changes(row, i) };
  });
}

export async function* inBatches(rows: readonly Row[], size = 50, end?: () => Promise<void>): AsyncGenerator<Row[]> {
  for (let from = 0; from < rows.length; from += size) yield rows.slice(from, from + size);
  await end?.();
}

export async function readAll(sink: Sink): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of sink.readBack()) rows.push(...batch);
  return rows;
}

/** As a sink returns them: by student (in the order of their code units, here), then ORDER_NO. */
export function sorted(rows: readonly Row[]): Row[] {
  const order = (a: Row, b: Row) => (a.student < b.student ? -1 : a.student > b.student ? 1 : a.orderNo - b.orderNo);
  return rows.map((row) => ({ ...row, payload: Buffer.from(row.payload) })).sort(order);
}
