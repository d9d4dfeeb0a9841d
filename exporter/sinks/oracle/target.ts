import { type Problem, problem } from '#queue/problem.ts';
import { type AttemptPlan, eventsOf } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import type { LoadedShard, Published } from '../../sink.ts';
import { doubled } from '../staging.ts';
import type { Session } from './connection.ts';
import { lockControl, makeOnce, readRecords, writePublished } from './control.ts';
import { type DdlPlace, targetDdl } from './ddl.ts';
import { codeOf } from './errors.ts';
import { identifier, qualified, stagingName } from './names.ts';
import { askDatabase, backupNeeded } from './preflight.ts';
import { checkStaged, selectedColumns, selectStaged } from './staging.ts';
import { askColumns, askTable, type TableFacts, unfitColumns } from './targetfit.ts';

/**
 * Publishes what is staged in one transaction: all of it, with the control row, or nothing. The control row is locked
 * and read before anything else; it tells also whether an earlier call went through whose reply was lost.
 *
 * All shards go in by one INSERT: after a direct path insert nobody may touch the table in the same transaction, not
 * even to read it (ORA-12838). So what is asserted of the target is asserted before, under its exclusive lock, and of
 * what is new by its unique key and by a query on staging.
 */
export async function publishStaged(session: Session, place: DdlPlace, plan: AttemptPlan): Promise<Published> {
  const found = await session.transaction(() => readPublished(session, plan));
  if (found) return found;
  const facts = await makeTarget(session, place);
  const backup = await isBackupNeeded(session, place, facts);
  const published = await session.transaction(async () => {
    const meanwhile = await readPublished(session, plan);
    if (meanwhile) return meanwhile;
    crashPoint('publish:begun');
    const loaded = await expectStaged(session, plan);
    for (const record of loaded) {
      await checkStaged(session, plan, record);
      await expectUnique(session, plan, record.shard);
    }
    await session.run(`LOCK TABLE ${qualified(place.owner, place.table)} IN EXCLUSIVE MODE WAIT 5`);
    await expectNoRows(session, place, plan);
    await insertAll(session, place, plan, loaded);
    crashPoint('publish:inserted');
    const done = await writePublished(session, plan, loaded, backup);
    crashPoint('publish:before-commit');
    return done;
  });
  crashPoint('publish:committed');
  return published;
}

/**
 * Sees to it that there is a table that takes the rows: the exporter makes one in its own schema only. What is there
 * and does not fit is left alone: Problem `target_unfit`. Indexes of a table that is there are never touched.
 */
async function makeTarget(session: Session, place: DdlPlace): Promise<TableFacts> {
  const { owner, table } = place;
  let facts = await askTable(session, owner, table);
  if (facts === null) {
    await makeOnce(session, targetDdl(place));
    facts = await askTable(session, owner, table);
  }
  if (facts === null) throw unfit(table, ['something else has that name']);
  const wrong = unfitColumns(await askColumns(session, owner, table));
  const rebuild = facts.unusable.map(
    (name) => `the index ${name} is unusable: ALTER INDEX ${qualified(owner, name)} REBUILD`,
  );
  if (wrong.length + rebuild.length > 0) throw unfit(table, [...wrong, ...rebuild]);
  return facts;
}

async function isBackupNeeded(session: Session, { tablespace }: DdlPlace, { logging }: TableFacts): Promise<boolean> {
  const [row] = await session.rows<{ forced: string }>(
    `SELECT FORCE_LOGGING AS "forced" FROM USER_TABLESPACES
     WHERE TABLESPACE_NAME = NVL(:1, (SELECT DEFAULT_TABLESPACE FROM USER_USERS))`,
    [tablespace],
  );
  return backupNeeded({ logging, database: await askDatabase(session), tablespaceForced: row?.forced === 'YES' });
}

/** A session is in one table only: a spec that was edited after publishing does not make a second copy. */
async function readPublished(session: Session, plan: AttemptPlan): Promise<Published | null> {
  const published = await lockControl(session, plan);
  if (published === null || published.table === plan.table) return published;
  throw problem(
    'published_elsewhere',
    `this session was published into ${published.table} by attempt ${published.attempt}, not into ${plan.table}`,
    `Set export.table back to what it was; copy the rows from ${published.table} yourself if you want them elsewhere.`,
  );
}

/** The records of all shards, which must be as many rows as the witnesses say. */
async function expectStaged(session: Session, plan: AttemptPlan): Promise<LoadedShard[]> {
  const records = await readRecords(session, plan);
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
async function expectNoRows(session: Session, { owner, table }: DdlPlace, plan: AttemptPlan): Promise<void> {
  const { uid } = plan.session;
  const [row] = await session.rows<{ n: number }>(
    `SELECT COUNT(*) AS "n" FROM ${qualified(owner, table)} WHERE "SESSION_UID" = :1`,
    [uid],
  );
  if (row!.n === 0) return;
  throw problem(
    'target_has_rows',
    `${table} holds ${row!.n} rows of this session, but it was never published`,
    `Somebody else wrote them. Look at them (SESSION_UID = ${uid}), move them away, then export again.`,
  );
}

/** One statement for all shards. A student is in one shard only, so uniqueness within each is uniqueness. */
async function insertAll(
  session: Session,
  { owner, table }: DdlPlace,
  plan: AttemptPlan,
  loaded: readonly LoadedShard[],
): Promise<void> {
  const total = eventsOf(plan);
  if (total === 0) return;
  const names = selectedColumns.map(identifier).join(', ');
  const selects = loaded.filter(({ rows }) => rows > 0).map(({ shard }) => selectStaged(session.user, plan, shard));
  let count: number;
  try {
    count = await session.run(
      `INSERT /*+ APPEND */ INTO ${qualified(owner, table)} (${names})\n${selects.join('\nUNION ALL\n')}`,
    );
  } catch (error) {
    if (codeOf(error) === 'ORA-00001') throw doubled(`the target's key refuses them`);
    throw error;
  }
  if (count !== total) throw unfit(table, [`it took ${count} of ${total} rows: see its triggers`]);
}

/** Before the key of the target is asked, which does not say which rows they are, and of tables without one. */
async function expectUnique(session: Session, plan: AttemptPlan, shard: number): Promise<void> {
  const found = await session.rows<{ student: string; writer: string; seq: number; n: number }>(
    `SELECT "STUDENT" AS "student", "WRITER" AS "writer", "SEQ" AS "seq", COUNT(*) AS "n"
     FROM ${qualified(session.user, stagingName(plan.session.uid, plan.attempt, shard))}
     GROUP BY "STUDENT", "WRITER", "SEQ" HAVING COUNT(*) > 1 FETCH FIRST 3 ROWS ONLY`,
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
    'Mend the table, or name another one in export.table, which the exporter makes; `untradex ddl oracle` prints its DDL.',
  );
}
