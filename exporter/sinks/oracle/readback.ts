import type { Row } from '../../row.ts';
import type { Session } from './connection.ts';
import { qualified } from './names.ts';
import { msOf, textOf } from './time.ts';

/** Rows that are held at a time: at most 16 KiB of payload each. */
const batchRows = 500;

const fields = [
  ...['"EXAM"', '"STUDENT"', '"WRITER"', '"ORDER_NO"', '"SEQ"', '"SHARD"', '"LATE"'],
  ...[textOf('"RECEIVED_AT"'), textOf('"DURABLE_AT"'), '"RECEIVED_MS"', '"DURABLE_MS"', '"PAYLOAD"'],
] as const;

type Text = string | null;
type Count = number | null;
type Fields = [Text, Text, Text, Count, Count, Count, Count, Text, Text, Count, Count, Text];

/**
 * The rows of a session, sorted by the server (bytewise, as the session says), which spills what does not fit, streamed
 * at the pace of whoever reads. Nulls, which a table of ours cannot hold, come back as what no event has: -1, or
 * nothing.
 */
export async function* readSession(
  session: Session,
  owner: string,
  table: string,
  sessionUid: string,
): AsyncGenerator<Row[], void, undefined> {
  const sql = `SELECT ${fields.join(', ')} FROM ${qualified(owner, table)} WHERE "SESSION_UID" = :1 ORDER BY "STUDENT", "ORDER_NO"`;
  for await (const batch of session.stream(sql, [sessionUid], batchRows)) {
    yield batch.map((values) => rowOf(values as Fields, sessionUid));
  }
}

function rowOf(values: Fields, sessionUid: string): Row {
  const [exam, student, writer, orderNo, seq, shard, late, received, durable, receivedMs, durableMs, payload] = values;
  return {
    exam: exam ?? '',
    sessionUid,
    student: student ?? '',
    orderNo: orderNo ?? -1,
    writer: writer ?? '',
    seq: seq ?? -1,
    payload: Buffer.from(payload ?? ''),
    receivedAt: msOf(received, receivedMs),
    durableAt: msOf(durable, durableMs),
    late: (late === 1 ? true : late === 0 ? false : null) as boolean,
    shard: shard ?? -1,
  };
}
