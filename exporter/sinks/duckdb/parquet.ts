import {
  BOOLEAN,
  DOUBLE,
  DuckDBDataChunk,
  type DuckDBType,
  type DuckDBValue,
  INTEGER,
  VARCHAR,
} from '@duckdb/node-api';
import { crashPoint } from '../../crashpoint.ts';
import type { Row } from '../../row.ts';
import { type Database, type DatabaseLimits, openMemory } from './database.ts';
import { literal } from './sqltext.ts';

/**
 * What differs from row to row, as it is handed over: a chunk of columns at a time, since a call a value is slower.
 * Times go as DOUBLE, which holds every ms exactly and needs no BigInt.
 */
const staged: readonly StagedColumn[] = [
  { name: 'STUDENT', type: VARCHAR, of: (row) => row.student },
  { name: 'ORDER_NO', type: INTEGER, of: (row) => row.orderNo },
  { name: 'WRITER', type: VARCHAR, of: (row) => row.writer },
  { name: 'SEQ', type: INTEGER, of: (row) => row.seq },
  { name: 'PAYLOAD', type: VARCHAR, of: (row) => row.payload.toString() },
  { name: 'RECEIVED_AT', type: DOUBLE, of: (row) => row.receivedAt },
  { name: 'DURABLE_AT', type: DOUBLE, of: (row) => row.durableAt },
  { name: 'LATE', type: BOOLEAN, of: (row) => row.late },
];

interface StagedColumn {
  readonly name: string;
  readonly type: DuckDBType;
  readonly of: (row: Row) => DuckDBValue;
}

/** DuckDB's vectors have this many places. */
const chunkRows = 2_048;

/** A row group of Parquet is built in memory: this many bytes of payload, or rows, whichever comes first. */
const groupBytes = 32 * 1_048_576;
const groupRows = 122_880;

export interface ParquetOptions extends DatabaseLimits {
  readonly path: string;
  readonly exam: string;
  readonly sessionUid: string;
  readonly shard: number;
  /** Kept in the file's metadata, so that an archive says what it is. */
  readonly about: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Writes rows, in their order, to a Parquet file (zstd) with the columns of the target. They are collected in a
 * database in memory that spills to disk, because DuckDB writes a Parquet file from a query and not row by row.
 * @returns how many rows the file has
 */
export async function writeParquet(rows: AsyncIterable<readonly Row[]>, options: ParquetOptions): Promise<number> {
  const database = await openMemory(options, options.signal);
  try {
    const columns = staged.map(({ name, type }) => `${name} ${type}`).join(', ');
    await database.run(`CREATE TABLE staged (${columns})`);
    const { count, bytes } = await collect(database, rows);
    await database.run(copyText(options, count === 0 ? 1 : bytes / count));
    crashPoint('load:written');
    const [row] = await database.rows(`SELECT count(*)::DOUBLE AS n FROM read_parquet(${literal(options.path)})`);
    if (row?.n !== count) throw new Error(`${options.path} has ${row?.n} rows, ${count} were written`);
    return count;
  } finally {
    await database.close();
  }
}

async function collect(database: Database, batches: AsyncIterable<readonly Row[]>) {
  const appender = await database.connection.createAppender('staged');
  const types = staged.map(({ type }) => type);
  const chunk = DuckDBDataChunk.create(types, chunkRows);
  let count = 0;
  let bytes = 0;
  try {
    for await (const batch of batches) {
      for (let from = 0; from < batch.length; from += chunkRows) {
        const some = batch.slice(from, from + chunkRows);
        chunk.reset();
        chunk.setColumns(staged.map(({ of }) => some.map(of)));
        appender.appendDataChunk(chunk);
      }
      count += batch.length;
      for (const row of batch) bytes += row.payload.length;
    }
  } finally {
    appender.closeSync();
  }
  return { count, bytes };
}

function copyText(options: ParquetOptions, meanBytes: number): string {
  const { path, exam, sessionUid, shard, about } = options;
  const time = (name: string) => `make_timestamp_ms(${name}::BIGINT)::TIMESTAMP_MS AS ${name}`;
  const rows = Math.max(chunkRows, Math.min(groupRows, Math.floor(groupBytes / meanBytes)));
  const metadata = Object.entries(about).map(([key, value]) => `${key}: ${literal(value)}`);
  return `COPY (
      SELECT ${literal(exam)} AS EXAM, ${literal(sessionUid)} AS SESSION_UID, STUDENT, ORDER_NO, WRITER, SEQ, PAYLOAD,
        ${time('RECEIVED_AT')}, ${time('DURABLE_AT')}, LATE, ${shard}::INTEGER AS SHARD
      FROM staged
    ) TO ${literal(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rows}, KV_METADATA {${metadata.join(', ')}})`;
}
