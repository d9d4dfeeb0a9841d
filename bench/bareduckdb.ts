import { BOOLEAN, DOUBLE, DuckDBDataChunk, DuckDBInstance, INTEGER, VARCHAR } from '@duckdb/node-api';

/**
 * The export's yardstick, a process of its own: the DuckDB driver alone, fed with rows that lie ready in memory, writing
 * the same Parquet file as a loader. Arguments: rows, file. Prints `{"seconds": ...}`.
 */
const [rows, file] = [Number(process.argv[2]), process.argv[3] ?? ''];
const chunkRows = 2_048;
const types = [VARCHAR, INTEGER, VARCHAR, INTEGER, VARCHAR, DOUBLE, DOUBLE, BOOLEAN];

/** One chunk's columns; used for every chunk, so that making rows is not measured. */
const prepared = [
  Array.from({ length: chunkRows }, (_, i) => `student-${i}`),
  Array.from({ length: chunkRows }, (_, i) => i),
  Array.from({ length: chunkRows }, (_, i) => `writer-of-student-${i}`),
  Array.from({ length: chunkRows }, (_, i) => i),
  Array.from({ length: chunkRows }, (_, i) => JSON.stringify({ question: i, answer: 'x'.repeat(130) })),
  Array.from({ length: chunkRows }, (_, i) => 1_790_000_000_000 + i),
  Array.from({ length: chunkRows }, (_, i) => 1_790_000_000_000 + i),
  Array.from({ length: chunkRows }, () => false),
];

const instance = await DuckDBInstance.create(':memory:', {
  threads: '2',
  memory_limit: '512MB',
  temp_directory: `${file}.tmp`,
});
const connection = await instance.connect();
await connection.run(
  'CREATE TABLE staged (STUDENT VARCHAR, ORDER_NO INTEGER, WRITER VARCHAR, SEQ INTEGER, PAYLOAD VARCHAR, RECEIVED_AT DOUBLE, DURABLE_AT DOUBLE, LATE BOOLEAN)',
);
const startedAt = performance.now();
const appender = await connection.createAppender('staged');
const chunk = DuckDBDataChunk.create(types, chunkRows);
for (let written = 0; written < rows; written += chunkRows) {
  chunk.reset();
  chunk.setColumns(prepared);
  appender.appendDataChunk(chunk);
}
appender.closeSync();
await connection.run(`COPY staged TO '${file.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd)`);
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - startedAt) / 1000 })}\n`);
connection.closeSync();
instance.closeSync();
