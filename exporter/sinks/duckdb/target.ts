import { createHash } from 'node:crypto';
import { type Problem, problem } from '#queue/problem.ts';
import { type AttemptPlan, eventsOf } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import { type Column, columns } from '../../row.ts';
import type { LoadedShard, Published } from '../../sink.ts';
import type { Database } from './database.ts';
import { identifier, literal } from './sqltext.ts';

/** The control table: a row a published session. It is written in the transaction that publishes. */
export const controlTable = 'UNTRADEX_EXPORTS';

/** Types of the target's columns. PAYLOAD is text, not JSON: JSON types normalise, and the bytes are the proof. */
const columnTypes: Readonly<Record<Column, string>> = {
  EXAM: 'VARCHAR',
  SESSION_UID: 'VARCHAR',
  STUDENT: 'VARCHAR',
  ORDER_NO: 'INTEGER',
  WRITER: 'VARCHAR',
  SEQ: 'INTEGER',
  PAYLOAD: 'VARCHAR',
  RECEIVED_AT: 'TIMESTAMP_MS',
  DURABLE_AT: 'TIMESTAMP_MS',
  LATE: 'BOOLEAN',
  SHARD: 'INTEGER',
};

/** What the control row of a session says; null when the session is not published. */
export async function readControl(database: Database, plan: AttemptPlan): Promise<Published | null> {
  const [known] = await database.rows(
    `SELECT 1 FROM duckdb_tables() WHERE table_name = ${literal(controlTable)} AND database_name = current_database()`,
  );
  if (!known) return null;
  const [row] = await database.rows(
    `SELECT ATTEMPT, TARGET, ROW_COUNT::DOUBLE AS N, DIGEST, epoch_ms(PUBLISHED_AT)::DOUBLE AS AT
     FROM ${identifier(controlTable)} WHERE SESSION_UID = ${literal(plan.session.uid)} AND STATE = 'PUBLISHED'`,
  );
  if (!row) return null;
  return {
    attempt: Number(row.ATTEMPT),
    table: String(row.TARGET),
    rows: Number(row.N),
    digest: String(row.DIGEST),
    publishedAt: Number(row.AT),
    already: true,
    retries: database.waits,
  };
}

/** A session is in one table only: a spec that was edited after publishing does not make a second copy. */
export function checkSameTable(published: Published, plan: AttemptPlan): void {
  if (published.table === plan.table) return;
  throw problem(
    'published_elsewhere',
    `this session was published into ${published.table} by attempt ${published.attempt}, not into ${plan.table}`,
    `Set export.table back to what it was; copy the rows from ${published.table} yourself if you want them elsewhere.`,
  );
}

/**
 * Publishes what is staged in one transaction: all of it, with the control row, or nothing. The session is not
 * published yet, and nobody else has the database open.
 */
export async function publishStaged(
  database: Database,
  plan: AttemptPlan,
  loaded: readonly LoadedShard[],
  files: readonly string[],
): Promise<Published> {
  await database.run('BEGIN TRANSACTION');
  crashPoint('publish:begun');
  try {
    await makeTables(database, plan);
    await expectNoRows(database, plan);
    await expectStaged(database, plan, files);
    const names = columns.map(identifier).join(', ');
    const source = `read_parquet([${files.map(literal).join(', ')}])`;
    await database.run(`INSERT INTO ${identifier(plan.table)} (${names}) SELECT ${names} FROM ${source}`);
    crashPoint('publish:inserted');
    await expectUnique(database, plan);
    const published = await writeControl(database, plan, loaded);
    crashPoint('publish:before-commit');
    await database.run('COMMIT');
    crashPoint('publish:committed');
    return published;
  } catch (error) {
    // Closing rolls back as well, and this may fail after a fatal error: the first error is the one to tell.
    await database.connection.run('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function makeTables(database: Database, plan: AttemptPlan): Promise<void> {
  const list = columns.map((name) => `${identifier(name)} ${columnTypes[name]} NOT NULL`).join(', ');
  await database.run(`CREATE TABLE IF NOT EXISTS ${identifier(plan.table)} (${list})`);
  await database.run(
    `CREATE TABLE IF NOT EXISTS ${identifier(controlTable)} (
       SESSION_UID VARCHAR PRIMARY KEY, EXAM VARCHAR NOT NULL, ATTEMPT INTEGER NOT NULL, TARGET VARCHAR NOT NULL,
       STATE VARCHAR NOT NULL, ROW_COUNT BIGINT NOT NULL, DIGEST VARCHAR NOT NULL, ROOT VARCHAR NOT NULL,
       PUBLISHED_AT TIMESTAMP_MS NOT NULL)`,
  );
  const found = await database.rows(
    `SELECT upper(column_name) AS name, data_type AS type FROM duckdb_columns()
     WHERE lower(table_name) = lower(${literal(plan.table)}) AND database_name = current_database()`,
  );
  const wrong = columns.filter((name) => found.find((one) => one.name === name)?.type !== columnTypes[name]);
  if (wrong.length > 0) throw unfit(plan.table, wrong);
}

/** A transaction leaves no half: rows without a control row came from somewhere else. */
async function expectNoRows(database: Database, plan: AttemptPlan): Promise<void> {
  const count = await countRows(database, `${identifier(plan.table)} WHERE ${ofSession(plan)}`);
  if (count === 0) return;
  throw problem(
    'target_has_rows',
    `${plan.table} holds ${count} rows of this session, but it was never published`,
    `Somebody else wrote them. Look at them (SESSION_UID = ${plan.session.uid}), move them away, then export again.`,
  );
}

/** Each shard's rows are of this session, and as many as its witness says. */
async function expectStaged(database: Database, plan: AttemptPlan, files: readonly string[]): Promise<void> {
  for (const [shard, path] of files.entries()) {
    const own = `SHARD = ${shard} AND ${ofSession(plan)} AND EXAM = ${literal(plan.session.exam)}`;
    const [found] = await database.rows(
      `SELECT count(*)::DOUBLE AS n, (count(*) FILTER (WHERE ${own}))::DOUBLE AS own FROM read_parquet(${literal(path)})`,
    );
    const { events } = plan.witnesses[shard]!;
    if (found?.n === events && found.own === events) continue;
    throw problem(
      'staging_differs',
      `${path} has ${found?.n} rows, ${found?.own} of them of shard ${shard} of this session; its witness says ${events}`,
      'Begin a new attempt: it stages the rows again.',
    );
  }
}

/** Asserts what a UNIQUE constraint would; a duplicate is a defect that must be seen, so none is ever removed. */
async function expectUnique(database: Database, plan: AttemptPlan): Promise<void> {
  const table = identifier(plan.table);
  const count = await countRows(database, `${table} WHERE ${ofSession(plan)}`);
  if (count !== eventsOf(plan)) throw new Error(`${count} rows were inserted, ${eventsOf(plan)} were staged`);
  const doubled = await database.rows(
    `SELECT STUDENT, WRITER, SEQ, count(*)::DOUBLE AS N FROM ${table} WHERE ${ofSession(plan)}
     GROUP BY STUDENT, WRITER, SEQ HAVING count(*) > 1 LIMIT 3`,
  );
  if (doubled.length === 0) return;
  const some = doubled.map(({ STUDENT, WRITER, SEQ, N }) => `student ${STUDENT}, writer ${WRITER}, seq ${SEQ}: ${N}`);
  throw problem(
    'rows_doubled',
    `rows of the same student, writer and seq were staged (${some.join('; ')})`,
    'This is a defect: nothing was published and nothing may be released. Keep the volumes and the staging folder, and report it.',
  );
}

async function writeControl(database: Database, plan: AttemptPlan, loaded: readonly LoadedShard[]): Promise<Published> {
  const { session, attempt, table, root } = plan;
  const digest = digestOf(loaded);
  const rows = eventsOf(plan);
  const publishedAt = Date.now();
  const values = [
    ...[literal(session.uid), literal(session.exam), attempt, literal(table), literal('PUBLISHED')],
    ...[rows, literal(digest), literal(root), `make_timestamp_ms(${publishedAt})::TIMESTAMP_MS`],
  ];
  await database.run(
    `INSERT INTO ${identifier(controlTable)}
       (SESSION_UID, EXAM, ATTEMPT, TARGET, STATE, ROW_COUNT, DIGEST, ROOT, PUBLISHED_AT)
     VALUES (${values.join(', ')})`,
  );
  return { attempt, table, rows, digest, publishedAt, already: false, retries: database.waits };
}

/** SHA-256 over the staged digests, a line a shard: equal only when everything that was staged is. */
function digestOf(loaded: readonly LoadedShard[]): string {
  const hash = createHash('sha256');
  for (const { shard, rows, digest } of loaded) hash.update(`${shard} ${rows} ${digest}\n`);
  return hash.digest('hex');
}

async function countRows(database: Database, source: string): Promise<number> {
  const [row] = await database.rows(`SELECT count(*)::DOUBLE AS n FROM ${source}`);
  return Number(row?.n);
}

function ofSession(plan: AttemptPlan): string {
  return `SESSION_UID = ${literal(plan.session.uid)}`;
}

function unfit(table: string, wrong: readonly Column[]): Problem {
  const wanted = wrong.map((name) => `${name} ${columnTypes[name]}`).join(', ');
  return problem(
    'target_unfit',
    `the table ${table} is there, but not with these columns: ${wanted}`,
    'Name another table in export.table, or rename the one that is there: the exporter makes its own.',
  );
}
