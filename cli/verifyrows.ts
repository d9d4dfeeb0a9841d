import type { Row } from '#exporter/row.ts';
import { nextChain, originChain, type State } from '#queue/chain.ts';
import { sessionRoot } from '#queue/merkle.ts';

/** What the rows say by themselves, without the queue. */
export interface RowsVerdict {
  readonly rows: number;
  readonly students: number;
  readonly writers: number;
  /** The root of the chains that the rows make. */
  readonly root: string;
  /** Rows that do not follow the one before: ORDER_NO within a student, SEQ within a writer. */
  readonly outOfOrder: number;
}

/**
 * Recomputes every writer's chain, and from the chains the root, from rows alone. Equal to the root that was kept at
 * the seal it says that the table holds exactly the sealed answers, byte for byte, even when the queue is long gone.
 * @param batches all rows of the session; those of a student one after the other, by ORDER_NO
 */
export async function verifyRows(sessionUid: string, batches: AsyncIterable<readonly Row[]>): Promise<RowsVerdict> {
  const writers = new Map<string, { student: string; writer: string; state: State }>();
  const orders = new Map<string, number>();
  let rows = 0;
  let outOfOrder = 0;
  for await (const batch of batches) {
    for (const { student, writer, seq, orderNo, payload } of batch) {
      const key = `${writer}:${student}`;
      const known = writers.get(key)?.state ?? { seq: 0, chain: originChain(sessionUid, student, writer) };
      if (seq !== known.seq + 1 || orderNo !== (orders.get(student) ?? 0) + 1) outOfOrder++;
      writers.set(key, { student, writer, state: { seq, chain: nextChain(known.chain, payload) } });
      orders.set(student, orderNo);
      rows++;
    }
  }
  return { rows, students: orders.size, writers: writers.size, root: sessionRoot(writers.values()), outOfOrder };
}
