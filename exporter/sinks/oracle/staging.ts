import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Problem, problem } from '#queue/problem.ts';
import type { AttemptPlan } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import { columns, type Row } from '../../row.ts';
import type { LoadedShard } from '../../sink.ts';
import type { Session } from './connection.ts';
import { type Claim, recordShard } from './control.ts';
import { stagedColumns } from './ddl.ts';
import { codeOf } from './errors.ts';
import { loader } from './loader.ts';
import { identifier, literal, qualified, stagingName } from './names.ts';
import { stagedDigest } from './stageddigest.ts';
import { beyondOf, timestampOf } from './time.ts';

/** Bytes of UTF-8 that a VARCHAR2 takes, whatever MAX_STRING_SIZE is. */
const longestText = 4_000;
/** Rows that are converted at a time. */
const sliceRows = 250;
/** Rows that are read back at a time. */
const readRows = 500;

/** A row as it is staged, in the order of `stagedColumns`. A payload is in one of two columns; it is never empty. */
export function stagedValues(row: Row, position: number): (string | number | null)[] {
  const { student, orderNo, writer, seq, receivedAt, durableAt, late, payload } = row;
  const text = payload.toString();
  const [short, long] = payload.length <= longestText ? [text, null] : [null, text];
  return [position, student, orderNo, writer, seq, receivedAt, durableAt, late ? 1 : 0, short, long];
}

/**
 * Loads the rows into the claimed staging table, batch by batch, and completes the record. The next batch is read and
 * converted while the server works on this one; both are held. Whatever goes wrong, and
 * whatever of it was loaded, the claim stays without a record.
 */
export async function stageRows(
  session: Session,
  plan: AttemptPlan,
  claim: Claim,
  batches: AsyncIterable<readonly Row[]>,
  loading: 'DirectPath' | 'Conventional',
): Promise<LoadedShard> {
  const startedAt = Date.now();
  const { shard } = claim;
  const digest = stagedDigest();
  const load = loader(session, claim.table, loading);
  let flying: Promise<void> = Promise.resolve();
  for await (const batch of batches) {
    const rows = await convert(batch, digest);
    await flying;
    if (rows.length === 0) continue;
    flying = load.put(rows);
    // Told when it is waited for.
    flying.catch(() => undefined);
  }
  await flying;
  crashPoint('load:written');
  const { rows, bytes } = digest;
  const loadedBy = load.by();
  const record = { shard, attempt: plan.attempt, rows, bytes, digest: digest.end(), startedAt, endedAt: Date.now() };
  await session.transaction(async () => {
    await recordShard(session, plan, claim.by, { ...record, loadedBy });
    crashPoint('load:renamed');
  });
  crashPoint('load:recorded');
  return { ...record, loadedBy };
}

/**
 * Rows as they are staged, which share no memory with the log any more. In slices: the batch before is on its way, and
 * the driver must get a turn to send it.
 */
async function convert(batch: readonly Row[], digest: ReturnType<typeof stagedDigest>) {
  const values: (string | number | null)[][] = [];
  for (let from = 0; from < batch.length; from += sliceRows) {
    const before = digest.rows;
    const slice = batch.slice(from, from + sliceRows).map((row, i) => stagedValues(row, before + i));
    digest.add(slice);
    values.push(...slice);
    await nextTurn();
  }
  return values;
}

/**
 * Compares a staging table with its record, in the transaction that publishes, and locks it against changes. The rows
 * are read as they lie, which is the order in which they were loaded, unless somebody rewrote the table: then they are
 * read once more, sorted.
 */
export async function checkStaged(session: Session, plan: AttemptPlan, loaded: LoadedShard): Promise<void> {
  const name = stagingName(plan.session.uid, plan.attempt, loaded.shard);
  const table = qualified(session.user, name);
  try {
    await session.run(`LOCK TABLE ${table} IN SHARE MODE WAIT 5`);
  } catch (error) {
    if (codeOf(error) === 'ORA-00942') throw differs(name, 'is gone');
    throw error;
  }
  const list = stagedColumns.map(([column]) => identifier(column)).join(', ');
  for (const order of ['', ' ORDER BY "POSITION"']) {
    const digest = stagedDigest();
    const sql = `SELECT ${list} FROM ${table}${order}`;
    for await (const batch of session.stream(sql, [], readRows)) digest.add(batch as (string | number | null)[][]);
    if (digest.rows !== loaded.rows) throw differs(name, `has ${digest.rows} rows, its loader wrote ${loaded.rows}`);
    if (digest.end() === loaded.digest) return;
  }
  throw differs(name, 'is not what its loader wrote');
}

function differs(table: string, how: string): Problem {
  return problem(
    'staging_differs',
    `the staging table ${table} ${how}`,
    'Begin a new attempt: it stages the rows again. After a restore or a failover this is to be expected, since staging is not logged; if it happens again without one, look for who changes these tables.',
  );
}

/** Drops staging tables that nobody uses now; others are left for the next time. */
export async function dropStaging(session: Session, names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      await session.run(`DROP TABLE ${qualified(session.user, name)} PURGE`);
    } catch (error) {
      // Somebody loads or reads it, or dropped it just now.
      if (!['ORA-00054', 'ORA-00942'].includes(codeOf(error) ?? '')) throw error;
    }
  }
}

/** The columns that `selectStaged` gives, in its order. */
export const selectedColumns = [...columns, 'RECEIVED_MS', 'DURABLE_MS'] as const;

/** The rows of a staging table as rows of the target: what is the same in all of them is written here. */
export function selectStaged(user: string, plan: AttemptPlan, shard: number): string {
  const { exam, uid } = plan.session;
  const values = [
    ...[literal(exam), literal(uid), '"STUDENT"', '"ORDER_NO"', '"WRITER"', '"SEQ"'],
    'NVL("PAYLOAD_LONG", TO_CLOB("PAYLOAD"))',
    ...[timestampOf('"RECEIVED_MS"'), timestampOf('"DURABLE_MS"'), '"LATE"', String(shard)],
    ...[beyondOf('"RECEIVED_MS"'), beyondOf('"DURABLE_MS"')],
  ];
  return `SELECT ${values.join(', ')} FROM ${qualified(user, stagingName(uid, plan.attempt, shard))}`;
}
