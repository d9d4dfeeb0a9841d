import type { Row } from '../../row.ts';
import { readInt64, readTime, type Tuple, tupleReader } from './binarycopy.ts';
import type { Session } from './connection.ts';
import { literal, qualified } from './names.ts';

/** Cast, so that a table that somebody else made is read in the same way. Times without a zone are UTC, as the session. */
const fields = [
  '"EXAM"::text',
  '"STUDENT"::text',
  '"WRITER"::text',
  '"PAYLOAD"::text',
  '"ORDER_NO"::int8',
  '"SEQ"::int8',
  '"SHARD"::int8',
  '"RECEIVED_AT"::timestamptz',
  '"DURABLE_AT"::timestamptz',
  '"LATE"::bool',
] as const;

/**
 * The rows of a session, sorted by the server (bytewise, whatever the collation), which spills what does not fit;
 * streamed by COPY at the pace of whoever reads. Nulls, which a table of ours cannot hold, come back as what no event
 * has: -1, or nothing.
 */
export async function* readSession(
  session: Session,
  schema: string,
  table: string,
  sessionUid: string,
): AsyncGenerator<Row[], void, undefined> {
  const sql = `COPY (SELECT ${fields.join(', ')} FROM ${qualified(schema, table)}
    WHERE "SESSION_UID" = ${literal(sessionUid)}
    ORDER BY "STUDENT"::text COLLATE "C", "ORDER_NO") TO STDOUT (FORMAT binary)`;
  let batch: Row[] = [];
  const rowOf = rowReader(sessionUid);
  const reader = tupleReader(fields.length, (tuple) => void batch.push(rowOf(tuple)));
  for await (const chunk of session.copyOut(sql)) {
    reader.push(chunk);
    if (batch.length === 0) continue;
    yield batch;
    batch = [];
  }
  reader.end();
}

function rowReader(sessionUid: string): (tuple: Tuple) => Row {
  const texts = textCache();
  return ({ bytes, starts, ends }) => {
    const isNull = (field: number) => ends[field]! < starts[field]!;
    const text = (field: number) => (isNull(field) ? '' : texts(field, bytes, starts[field]!, ends[field]!));
    const number = (field: number) => (isNull(field) ? -1 : readInt64(bytes, starts[field]!));
    const time = (field: number) => (isNull(field) ? -1 : readTime(bytes, starts[field]!));
    return {
      exam: text(0),
      sessionUid,
      student: text(1),
      orderNo: number(4),
      writer: text(2),
      seq: number(5),
      payload: isNull(3) ? Buffer.alloc(0) : bytes.subarray(starts[3], ends[3]),
      receivedAt: time(7),
      durableAt: time(8),
      late: (isNull(9) ? null : bytes[starts[9]!] === 1) as boolean,
      shard: number(6),
    };
  };
}

/** Decodes text of which the same stands in the row before, nearly always. */
function textCache() {
  const before: { bytes: Buffer; text: string }[] = [];
  return (field: number, row: Buffer, from: number, to: number): string => {
    const known = before[field];
    if (known && known.bytes.length === to - from && known.bytes.compare(row, from, to) === 0) return known.text;
    // A copy: what is remembered must not hold a whole chunk.
    const bytes = Buffer.from(row.subarray(from, to));
    const text = bytes.toString();
    before[field] = { bytes, text };
    return text;
  };
}
