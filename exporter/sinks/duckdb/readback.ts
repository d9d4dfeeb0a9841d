import type { DuckDBDataChunk, DuckDBResult } from '@duckdb/node-api';
import type { Row } from '../../row.ts';
import type { Database } from './database.ts';
import { identifier, literal } from './sqltext.ts';

/**
 * All text of a row goes as one BLOB, cut apart here by the lengths: reading a value costs far more than its bytes,
 * and DuckDB's own reader of text would drop a byte order mark at the beginning of a student id. Times go as DOUBLE,
 * which holds every ms exactly.
 */
function selectText(table: string, sessionUid: string): string {
  const number = (value: string) => `coalesce(${value}, -1)`;
  const bytes = (name: string) => `coalesce(strlen(${name})::INTEGER, 0)`;
  const time = (name: string) => number(`epoch_ms(${name})::DOUBLE`);
  return `SELECT ${number('ORDER_NO')}, ${number('SEQ')}, ${number('SHARD')}, LATE,
      ${time('RECEIVED_AT')}, ${time('DURABLE_AT')}, ${bytes('EXAM')}, ${bytes('STUDENT')}, ${bytes('WRITER')},
      encode(concat(EXAM, STUDENT, WRITER, PAYLOAD))
    FROM ${identifier(table)} WHERE SESSION_UID = ${literal(sessionUid)}
    ORDER BY STUDENT, ORDER_NO`;
}

/** The rows of a session, sorted by DuckDB, which spills what does not fit; a chunk at a time. */
export async function* readSession(
  database: Database,
  table: string,
  sessionUid: string,
): AsyncGenerator<Row[], void, undefined> {
  const result = await database.connection.stream(selectText(table, sessionUid));
  let next = fetch(result);
  try {
    for (;;) {
      const chunk = await next;
      if (!chunk || chunk.rowCount === 0) return;
      // DuckDB prepares the next chunk in its own threads while this one is used.
      next = fetch(result);
      yield rowsOf(chunk, sessionUid);
    }
  } finally {
    await next.catch(() => undefined);
  }
}

function fetch(result: DuckDBResult): Promise<DuckDBDataChunk | null> {
  const chunk = result.fetchChunk();
  chunk.catch(() => undefined);
  return chunk;
}

function rowsOf(chunk: DuckDBDataChunk, sessionUid: string): Row[] {
  const [orderNo, seq, shard, late, receivedAt, durableAt, examBytes, studentBytes, writerBytes, texts] = Array.from(
    { length: chunk.columnCount },
    (_, column) => chunk.getColumnValues(column),
  ) as [number[], number[], number[], boolean[], number[], number[], number[], number[], number[], { bytes: Buffer }[]];
  const text = textCache();
  return texts.map(({ bytes }, i) => {
    const studentAt = examBytes[i]!;
    const writerAt = studentAt + studentBytes[i]!;
    const payloadAt = writerAt + writerBytes[i]!;
    return {
      exam: text(0, bytes, 0, studentAt),
      sessionUid,
      student: text(1, bytes, studentAt, writerAt),
      orderNo: orderNo[i]!,
      writer: text(2, bytes, writerAt, payloadAt),
      seq: seq[i]!,
      payload: bytes.subarray(payloadAt),
      receivedAt: receivedAt[i]!,
      durableAt: durableAt[i]!,
      late: late[i]!,
      shard: shard[i]!,
    };
  });
}

/** Decodes text of which the same stands in the row before, nearly always. */
function textCache() {
  const before: { bytes: Buffer; text: string }[] = [];
  return (column: number, row: Buffer, from: number, to: number): string => {
    const known = before[column];
    if (known && known.bytes.length === to - from && known.bytes.compare(row, from, to) === 0) return known.text;
    const bytes = row.subarray(from, to);
    const text = bytes.toString();
    before[column] = { bytes, text };
    return text;
  };
}
