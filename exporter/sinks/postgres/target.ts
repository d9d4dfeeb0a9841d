import { type Problem, problem } from '#queue/problem.ts';
import type { AttemptPlan } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import { columns } from '../../row.ts';
import type { LoadedShard, Published } from '../../sink.ts';
import { doubled } from '../staging.ts';
import type { Session } from './connection.ts';
import { lockControl, lockDdl, readRecords, writePublished } from './control.ts';
import { identifier, literal, partitionName, qualified } from './names.ts';
import { stateOf } from './retry.ts';
import { checkStaged, selectedColumns, selectStaged } from './staging.ts';
import { askColumns, askTable, columnTypes, type TableFacts, unfitColumns } from './targetfit.ts';

/**
 * The statements that make the target, where there is none. Partitioned by LIST of EXAM, so that one exam can be
 * dumped, moved or detached by itself. A unique key of a partitioned table must hold the partition's column; it comes
 * last, and changes nothing, since all rows of a session are of one exam.
 */
export function targetDdl(schema: string, table: string): string[] {
  const name = qualified(schema, table);
  const list = columns.map((column) => `  ${identifier(column)} ${columnTypes[column]} NOT NULL`).join(',\n');
  return [
    `CREATE TABLE ${name} (
${list},
  UNIQUE ("SESSION_UID", "STUDENT", "WRITER", "SEQ", "EXAM")
) PARTITION BY LIST ("EXAM")`,
    `CREATE INDEX ON ${name} USING brin ("RECEIVED_AT")`,
  ];
}

/**
 * The statements that add a partition for an exam. Attached, not made in place: that would lock out everybody who
 * reads the table. The indexes come with attaching.
 */
export function partitionDdl(schema: string, table: string, exam: string): string[] {
  const name = qualified(schema, table);
  const partition = qualified(schema, partitionName(table, exam));
  return [
    `CREATE TABLE ${partition} (LIKE ${name} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE)`,
    `COMMENT ON TABLE ${partition} IS ${literal(`Answers of the exam ${exam}`)}`,
    `ALTER TABLE ${name} ATTACH PARTITION ${partition} FOR VALUES IN (${literal(exam)})`,
  ];
}

/**
 * Sees to it that there is a table that takes the rows, with a partition for the exam where it is partitioned so and
 * ours; in a short transaction before the one that publishes, since it locks. What is there and does not fit is left
 * alone: Problem `target_unfit`. Indexes of a table that is there are never touched.
 */
export async function makeTarget(session: Session, schema: string, plan: AttemptPlan): Promise<TableFacts> {
  const {
    table,
    session: { exam },
  } = plan;
  return session.transaction(async () => {
    await lockDdl(session, schema);
    if ((await askTable(session, schema, table)) === null) {
      for (const statement of targetDdl(schema, table)) await session.run(statement);
    }
    const facts = (await askTable(session, schema, table))!;
    const wrong = await faultsOf(session, facts);
    if (wrong.length > 0) throw unfit(table, wrong);
    const isOurs = facts.partitionKey === 'LIST ("EXAM")' && facts.owned && !facts.hasDefaultPartition;
    if (isOurs) await makePartition(session, schema, table, exam);
    return facts;
  });
}

async function faultsOf(session: Session, facts: TableFacts): Promise<string[]> {
  if (facts.kind !== 'r' && facts.kind !== 'p') return ['it must be a table'];
  const wrong = unfitColumns(await askColumns(session, facts));
  if (facts.persistence !== 'p') wrong.push('it must be permanent: unlogged rows do not survive a crash');
  return wrong;
}

/** Another partition, made by somebody else, may take the exam already. */
async function makePartition(session: Session, schema: string, table: string, exam: string): Promise<void> {
  if ((await askTable(session, schema, partitionName(table, exam))) !== null) return;
  await session.run('SAVEPOINT partition');
  try {
    for (const statement of partitionDdl(schema, table, exam)) await session.run(statement);
  } catch (error) {
    // invalid_object_definition: it would overlap.
    if (stateOf(error) !== '42P17') throw error;
    await session.run('ROLLBACK TO SAVEPOINT partition');
  }
}

/**
 * Publishes what is staged in one transaction: all of it, with the control row, or nothing. The control row is locked
 * and read before anything else; it tells also whether an earlier call went through whose reply was lost.
 */
export async function publishStaged(session: Session, schema: string, plan: AttemptPlan): Promise<Published> {
  const found = await session.transaction(() => readPublished(session, schema, plan));
  if (found) return found;
  const facts = await makeTarget(session, schema, plan);
  const published = await session.transaction(async () => {
    const meanwhile = await readPublished(session, schema, plan);
    if (meanwhile) return meanwhile;
    crashPoint('publish:begun');
    const loaded = await expectStaged(session, schema, plan);
    await expectNoRows(session, schema, plan);
    for (const record of loaded) await insertShard(session, schema, plan, record);
    crashPoint('publish:inserted');
    if (!facts.unique) await expectUnique(session, schema, plan);
    const done = await writePublished(session, schema, plan, loaded);
    crashPoint('publish:before-commit');
    return done;
  });
  crashPoint('publish:committed');
  return published;
}

/** A session is in one table only: a spec that was edited after publishing does not make a second copy. */
async function readPublished(session: Session, schema: string, plan: AttemptPlan): Promise<Published | null> {
  const published = await lockControl(session, schema, plan);
  if (published === null || published.table === plan.table) return published;
  throw problem(
    'published_elsewhere',
    `this session was published into ${published.table} by attempt ${published.attempt}, not into ${plan.table}`,
    `Set export.table back to what it was; copy the rows from ${published.table} yourself if you want them elsewhere.`,
  );
}

/** The records of all shards, which must be as many rows as the witnesses say. */
async function expectStaged(session: Session, schema: string, plan: AttemptPlan): Promise<LoadedShard[]> {
  const records = await readRecords(session, schema, plan);
  const missing = plan.witnesses.filter(({ shard }) => !records.some((record) => record.shard === shard));
  if (missing.length > 0) {
    throw problem(
      'staging_incomplete',
      `these shards of this attempt are not staged: ${missing.map(({ shard }) => shard).join(', ')}`,
      'Load every shard first; after a loader that died, begin a new attempt.',
    );
  }
  const wrong = records.find(({ shard, rows }) => plan.witnesses[shard]?.events !== rows);
  if (wrong === undefined) return records;
  const { shard, rows } = wrong;
  throw problem(
    'staging_differs',
    `shard ${shard} has ${rows} staged rows; its witness says ${plan.witnesses[shard]?.events ?? 'nothing'}`,
    'Begin a new attempt: it stages the rows again.',
  );
}

/** A transaction leaves no half: rows without a control row came from somewhere else. */
async function expectNoRows(session: Session, schema: string, { table, session: { uid } }: AttemptPlan): Promise<void> {
  const target = qualified(schema, table);
  const [row] = await session.rows<{ n: number }>(
    `SELECT count(*)::float8 AS n FROM ${target} WHERE "SESSION_UID" = $1`,
    [uid],
  );
  if (row!.n === 0) return;
  throw problem(
    'target_has_rows',
    `${table} holds ${row!.n} rows of this session, but it was never published`,
    `Somebody else wrote them. Look at them (SESSION_UID = ${uid}), move them away, then export again.`,
  );
}

async function insertShard(session: Session, schema: string, plan: AttemptPlan, record: LoadedShard): Promise<void> {
  const order = await checkStaged(session, schema, plan, record);
  const names = selectedColumns.map(identifier).join(', ');
  const select = selectStaged(schema, plan, record.shard, order);
  let count: number;
  try {
    count = await session.run(`INSERT INTO ${qualified(schema, plan.table)} (${names}) ${select}`);
  } catch (error) {
    if (stateOf(error) !== '23505') throw error;
    // Only the key is told, which names student, writer and seq.
    throw doubled((error as { detail?: string }).detail ?? (error as Error).message);
  }
  if (count !== record.rows)
    throw unfit(plan.table, [`it took ${count} of ${record.rows} rows: see its triggers and rules`]);
}

/** For a table whose keys do not see to it. */
async function expectUnique(session: Session, schema: string, { table, session: { uid } }: AttemptPlan): Promise<void> {
  const found = await session.rows<{ student: string; writer: string; seq: string; n: number }>(
    `SELECT "STUDENT" AS student, "WRITER" AS writer, "SEQ"::text AS seq, count(*)::float8 AS n
     FROM ${qualified(schema, table)} WHERE "SESSION_UID" = $1
     GROUP BY "STUDENT", "WRITER", "SEQ" HAVING count(*) > 1 LIMIT 3`,
    [uid],
  );
  if (found.length === 0) return;
  throw doubled(
    found.map(({ student, writer, seq, n }) => `student ${student}, writer ${writer}, seq ${seq}: ${n}`).join('; '),
  );
}

function unfit(table: string, wrong: readonly string[]): Problem {
  return problem(
    'target_unfit',
    `the table ${table} is there, but does not take the rows:\n${wrong.map((line) => `  ${line}`).join('\n')}`,
    'Mend the table, or name another one in export.table, which the exporter makes; docs/postgres.md has the DDL.',
  );
}
