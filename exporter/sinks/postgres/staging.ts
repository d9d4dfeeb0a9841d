import { createHash } from 'node:crypto';
import { type Problem, problem } from '#queue/problem.ts';
import type { AttemptPlan } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import type { Row } from '../../row.ts';
import type { LoadedShard } from '../../sink.ts';
import { encodeStaged, stagedColumns } from './binarycopy.ts';
import type { Session } from './connection.ts';
import { recordShard } from './control.ts';
import { identifier, literal, qualified, stagingName } from './names.ts';
import { stateOf } from './retry.ts';

const columnList = stagedColumns.map(([name]) => identifier(name)).join(', ');

/**
 * The staging table of a shard and attempt, without what is the same in all of its rows. UNLOGGED: loading writes no
 * log, and after a crash of the server (or on a standby that took over) the table is empty; publishing finds that out
 * by count and digest, and the next attempt stages the rows again from the queue, which has them all.
 */
export function stagingDdl(schema: string, name: string): string {
  const columns = stagedColumns.map(([column, type]) => `${identifier(column)} ${type} NOT NULL`).join(', ');
  return `CREATE UNLOGGED TABLE ${qualified(schema, name)} (${columns}) WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false)`;
}

/**
 * Loads the rows into the claimed staging table and completes the record, both in one transaction. The digest is the
 * SHA-256 of the binary COPY as it was sent, which the server can give back byte for byte.
 */
export async function stageRows(
  session: Session,
  schema: string,
  plan: AttemptPlan,
  claim: { readonly shard: number; readonly table: string; readonly by: string },
  batches: AsyncIterable<readonly Row[]>,
): Promise<LoadedShard> {
  const startedAt = Date.now();
  const hash = createHash('sha256');
  let bytes = 0;
  let sent = 0;
  const counted = async function* () {
    for await (const batch of batches) {
      sent += batch.length;
      yield batch;
    }
  };
  const chunks = async function* () {
    for await (const chunk of encodeStaged(counted())) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  };
  const loaded = await session.transaction(async () => {
    const sql = `COPY ${qualified(schema, claim.table)} (${columnList}) FROM STDIN (FORMAT binary)`;
    const rows = await session.copyIn(sql, chunks());
    if (rows !== sent) throw new Error(`the server took ${rows} rows of ${sent}`);
    crashPoint('load:written');
    const { shard } = claim;
    const digest = hash.digest('hex');
    const record = { shard, attempt: plan.attempt, rows, bytes, digest, startedAt, endedAt: Date.now() };
    await recordShard(session, schema, plan, claim.by, record);
    crashPoint('load:renamed');
    return record;
  });
  crashPoint('load:recorded');
  return loaded;
}

/**
 * Compares a staging table with its record, in the transaction that publishes, and locks it against changes. Resolves
 * with the order that a SELECT needs to give the rows as they were loaded: none when they lie so on the disk, as they
 * do unless somebody rewrote the table.
 */
export async function checkStaged(
  session: Session,
  schema: string,
  plan: AttemptPlan,
  loaded: LoadedShard,
): Promise<string> {
  const table = qualified(schema, stagingName(plan.session.uid, plan.attempt, loaded.shard));
  try {
    await session.run(`LOCK TABLE ${table} IN SHARE MODE`);
  } catch (error) {
    if (stateOf(error) === '42P01') throw differs(table, 'is gone');
    throw error;
  }
  const [row] = await session.rows<{ n: number }>(`SELECT count(*)::float8 AS n FROM ${table}`);
  if (row!.n !== loaded.rows) throw differs(table, `has ${row!.n} rows, its loader wrote ${loaded.rows}`);
  for (const order of ['', ' ORDER BY "POSITION"']) {
    const hash = createHash('sha256');
    const sql = `COPY (SELECT ${columnList} FROM ${table}${order}) TO STDOUT (FORMAT binary)`;
    for await (const chunk of session.copyOut(sql)) hash.update(chunk);
    if (hash.digest('hex') === loaded.digest) return order;
  }
  throw differs(table, 'is not what its loader wrote');
}

function differs(table: string, how: string): Problem {
  return problem(
    'staging_differs',
    `the staging table ${table} ${how}`,
    'Begin a new attempt: it stages the rows again. After a crash of the server this is to be expected; if it happens again without one, look for who changes these tables.',
  );
}

/** Drops staging tables that nobody uses now; others are left for the next time. */
export async function dropStaging(session: Session, schema: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const table = qualified(schema, name);
    try {
      await session.transaction(async () => {
        await session.run(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE NOWAIT`);
        await session.run(`DROP TABLE ${table}`);
      });
    } catch (error) {
      // Somebody loads or reads it, dropped it just now, or owns it.
      if (!['55P03', '42P01', '42501'].includes(stateOf(error) ?? '')) throw error;
    }
  }
}

/** The rows of a staging table as rows of the target: what is the same in all of them is written here. */
export function selectStaged(schema: string, plan: AttemptPlan, shard: number, order: string): string {
  const { exam, uid } = plan.session;
  const names = stagedColumns.map(([name]) => name).filter((name) => name !== 'POSITION');
  const table = qualified(schema, stagingName(uid, plan.attempt, shard));
  return `SELECT ${literal(exam)}, ${literal(uid)}, ${shard}, ${names.map(identifier).join(', ')} FROM ${table}${order}`;
}

/** The columns that `selectStaged` gives, in its order. */
export const selectedColumns = [
  'EXAM',
  'SESSION_UID',
  'SHARD',
  ...stagedColumns.map(([name]) => name).filter((name) => name !== 'POSITION'),
] as const;
