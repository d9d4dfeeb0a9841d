import { hash } from 'node:crypto';
import type { Row } from './row.ts';
import type { Mark } from './trail.ts';

/**
 * In what way rows are not what they must be:
 * - missing: acknowledged, and not there
 * - doubled: there once more
 * - foreign: there, and not in the log: of another session, or written by somebody else
 * - changed: another value in a column, or other bytes in the payload
 * - disordered: not at its place among the student's rows
 * - state: the rows are those of the log, but the writer's sealed state is another
 * - root: the session's root is another than at the seal
 */
export type DifferenceKind = 'missing' | 'doubled' | 'foreign' | 'changed' | 'disordered' | 'state' | 'root';

export interface Difference {
  readonly kind: DifferenceKind;
  /** Null where it is of the whole session. */
  readonly student: string | null;
  readonly writer: string | null;
  readonly seq: number | null;
  /** In words, with student, writer and seq. */
  readonly text: string;
}

/** An event or a row without its payload: many of one student fit into memory. */
export interface Trace extends Omit<Mark, 'payload'> {
  /** SHA-256, hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** A row's trace has what the log does not say itself. */
export interface RowTrace extends Trace, Pick<Row, 'orderNo' | 'exam' | 'shard'> {}

export function traceOf({ writer, seq, payload, receivedAt, durableAt, late }: Mark): Trace {
  return { writer, seq, receivedAt, durableAt, late, sha256: hash('sha256', payload, 'hex'), bytes: payload.length };
}

export function rowTraceOf(row: Row): RowTrace {
  const { orderNo, exam, shard } = row;
  return { ...traceOf(row), orderNo, exam, shard };
}

/** What differs between the log's events of one student, in order, and the rows, in the order that they were read. */
export function differencesOf(
  student: string,
  events: readonly Trace[],
  rows: readonly RowTrace[],
  place: { readonly exam: string; readonly shard: number },
): Difference[] {
  const found: Difference[] = [];
  const logged = new Map(events.map((event, i) => [keyOf(event), { event, orderNo: i + 1 }]));
  const seen = new Set<string>();
  const say = (kind: DifferenceKind, { writer, seq }: Trace, what: string) => {
    found.push({ kind, student, writer, seq, text: `student ${student}, writer ${writer}, seq ${seq}: ${what}` });
  };
  for (const row of rows) {
    const key = keyOf(row);
    const own = logged.get(key);
    if (own === undefined) say('foreign', row, `the row (ORDER_NO ${row.orderNo}) is not in the log`);
    else if (seen.has(key)) say('doubled', row, `the row is there once more (ORDER_NO ${row.orderNo})`);
    else {
      for (const what of changesOf(row, own.event, place)) say('changed', row, what);
      if (row.orderNo !== own.orderNo) say('disordered', row, `ORDER_NO is ${row.orderNo}, in the log ${own.orderNo}`);
    }
    seen.add(key);
  }
  for (const [key, { event, orderNo }] of logged) {
    if (!seen.has(key)) say('missing', event, `acknowledged, and not in the table (ORDER_NO ${orderNo})`);
  }
  return found;
}

function* changesOf(row: RowTrace, event: Trace, place: { readonly exam: string; readonly shard: number }) {
  if (row.sha256 !== event.sha256) {
    yield `PAYLOAD has ${row.bytes} bytes with SHA-256 ${row.sha256}, in the log ${event.bytes} with ${event.sha256}`;
  }
  const values: readonly (readonly [column: string, is: unknown, must: unknown])[] = [
    ['RECEIVED_AT', row.receivedAt, event.receivedAt],
    ['DURABLE_AT', row.durableAt, event.durableAt],
    ['LATE', row.late, event.late],
    ['EXAM', row.exam, place.exam],
    ['SHARD', row.shard, place.shard],
  ];
  for (const [column, is, must] of values) if (is !== must) yield `${column} is ${is}, in the log ${must}`;
}

function keyOf({ writer, seq }: Trace): string {
  return `${writer}:${seq}`;
}
