import { createHash, hash } from 'node:crypto';
import { problem } from '#queue/problem.ts';
import { type AttemptPlan, eventsOf, planText } from '../../attempt.ts';
import type { LoadedShard, Published } from '../../sink.ts';
import type { Session } from './connection.ts';
import { controlDdl } from './ddl.ts';
import { codeOf } from './errors.ts';
import { controlTables, qualified } from './names.ts';
import { msOf, textOf, timestampOf } from './time.ts';

// What is known of sessions and attempts, in three tables in the exporter's own schema:
//
//   UNTRADEX_EXPORTS   a row a session: STATE is STAGING until the transaction that publishes makes it PUBLISHED.
//                      A publisher locks it first, so there is one at a time.
//   UNTRADEX_ATTEMPTS  a row an attempt: its plan, frozen by whoever came first
//   UNTRADEX_STAGING   a row a shard of an attempt: committed before its staging table is made (the claim), completed
//                      after the last row is loaded (the record)
//
//   nothing ─claim▶ claimed ─staging table made, loads, each committed by the server itself─▶ ─record▶ staged
//
// A load commits by itself, so claim, rows and record cannot be one transaction: a claim without a record is doubtful
// for good, whatever its table holds. No row is ever deleted.

/** How the rows of a shard went in. */
export type LoadedBy = 'DirectPath' | 'Conventional';

/** Name of a control table. */
const control = (session: Session, table: keyof typeof controlTables) => qualified(session.user, controlTables[table]);

const nowUtc = 'SYS_EXTRACT_UTC(SYSTIMESTAMP)';

/** Makes the control tables when they are missing, and freezes the plan, or finds it frozen. */
export async function freezePlan(session: Session, tablespace: string | null, plan: AttemptPlan): Promise<void> {
  await makeControl(session, tablespace);
  const { uid, exam } = plan.session;
  const text = planText(plan);
  const digest = hash('sha256', text, 'hex');
  if ((await frozenDigest(session, plan)) === null) {
    // Looked at before: an INSERT might wait for a publisher who has the row.
    const known = `SELECT 1 AS "n" FROM ${control(session, 'exports')} WHERE "SESSION_UID" = :1`;
    if ((await session.rows(known, [uid])).length === 0) {
      await insertOnce(
        session,
        `INSERT INTO ${control(session, 'exports')} ("SESSION_UID", "EXAM", "STATE") VALUES (:1, :2, 'STAGING')`,
        [uid, exam],
      );
    }
    await insertOnce(
      session,
      `INSERT INTO ${control(session, 'attempts')} ("SESSION_UID", "ATTEMPT", "PLAN_DIGEST", "PLAN", "BEGUN_AT")
       VALUES (:1, :2, :3, :4, ${nowUtc})`,
      [uid, plan.attempt, digest, text],
    );
  }
  if ((await frozenDigest(session, plan)) === digest) return;
  throw problem(
    'attempt_changed',
    `attempt ${plan.attempt} was begun with another plan than this one (${controlTables.attempts} holds it)`,
    'An attempt keeps its plan: what was changed in the session is for a new attempt, with the next number.',
  );
}

/** Of the plan that whoever came first wrote; null: nobody has. */
async function frozenDigest(session: Session, plan: AttemptPlan): Promise<string | null> {
  const [row] = await session.rows<{ digest: string }>(
    `SELECT "PLAN_DIGEST" AS "digest" FROM ${control(session, 'attempts')} WHERE "SESSION_UID" = :1 AND "ATTEMPT" = :2`,
    [plan.session.uid, plan.attempt],
  );
  return row?.digest ?? null;
}

async function makeControl(session: Session, tablespace: string | null): Promise<void> {
  const names = Object.values(controlTables);
  const found = await session.rows<{ name: string }>(
    `SELECT TABLE_NAME AS "name" FROM USER_TABLES WHERE TABLE_NAME IN (:1, :2, :3)`,
    names,
  );
  const isThere = new Set(found.map(({ name }) => name));
  for (const [index, statement] of controlDdl(session.user, tablespace).entries()) {
    if (!isThere.has(names[index]!)) await makeOnce(session, statement);
  }
}

/** Runs a statement that makes something. False: somebody else just has, as happens when two do it at once. */
export async function makeOnce(session: Session, statement: string): Promise<boolean> {
  try {
    await session.run(statement);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'ORA-00955') throw error;
    return false;
  }
}

/** Inserts a row and commits. False: its key is there already; whoever is just inserting it was waited for. */
async function insertOnce(session: Session, sql: string, binds: readonly (string | number)[]): Promise<boolean> {
  try {
    await session.commit(sql, binds);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'ORA-00001') throw error;
    return false;
  }
}

export interface Claim {
  readonly shard: number;
  readonly table: string;
  readonly by: string;
}

/** Claims a shard, durably. False: somebody else has. */
export function claimShard(session: Session, plan: AttemptPlan, { shard, table, by }: Claim): Promise<boolean> {
  return insertOnce(
    session,
    `INSERT INTO ${control(session, 'staging')}
       ("SESSION_UID", "ATTEMPT", "SHARD", "STAGING_TABLE", "CLAIMED_BY", "CLAIMED_AT")
     VALUES (:1, :2, :3, :4, :5, ${nowUtc})`,
    [plan.session.uid, plan.attempt, shard, table, by],
  );
}

/** Completes a claim, in a transaction. */
export async function recordShard(session: Session, plan: AttemptPlan, by: string, loaded: LoadedShard): Promise<void> {
  const { shard, rows, bytes, digest, startedAt, endedAt, loadedBy = null } = loaded;
  const count = await session.run(
    `UPDATE ${control(session, 'staging')} SET "ROW_COUNT" = :1, "BYTES" = :2, "DIGEST" = :3,
       "STARTED_AT" = ${timestampOf(':4')}, "ENDED_AT" = ${timestampOf(':5')}, "LOADED_BY" = :6
     WHERE "SESSION_UID" = :7 AND "ATTEMPT" = :8 AND "SHARD" = :9 AND "CLAIMED_BY" = :10 AND "ENDED_AT" IS NULL`,
    [rows, bytes, digest, startedAt, endedAt, loadedBy, plan.session.uid, plan.attempt, shard, by],
  );
  if (count === 1) return;
  throw problem(
    'staging_ambiguous',
    `the claim on shard ${shard} of this attempt is gone from ${controlTables.staging}`,
    'Nothing is lost: begin a new attempt, and leave the control tables alone.',
  );
}

interface Record {
  readonly shard: number;
  readonly rows: number;
  readonly bytes: number;
  readonly digest: string;
  readonly started: string;
  readonly ended: string;
  readonly loadedBy: LoadedBy | null;
}

/** What the loaders of this attempt recorded. */
export async function readRecords(session: Session, plan: AttemptPlan): Promise<LoadedShard[]> {
  const rows = await session.rows<Record>(
    `SELECT "SHARD" AS "shard", "ROW_COUNT" AS "rows", "BYTES" AS "bytes", "DIGEST" AS "digest",
       ${textOf('"STARTED_AT"')} AS "started", ${textOf('"ENDED_AT"')} AS "ended", "LOADED_BY" AS "loadedBy"
     FROM ${control(session, 'staging')}
     WHERE "SESSION_UID" = :1 AND "ATTEMPT" = :2 AND "ENDED_AT" IS NOT NULL ORDER BY "SHARD"`,
    [plan.session.uid, plan.attempt],
  );
  return rows.map(({ shard, rows: count, bytes, digest, started, ended, loadedBy }) => ({
    ...{ shard, attempt: plan.attempt, rows: count, bytes, digest, startedAt: msOf(started), endedAt: msOf(ended) },
    ...(loadedBy === null ? {} : { loadedBy }),
  }));
}

/** Who claimed a shard of this attempt, and when, in words. */
export async function claimHolder(session: Session, plan: AttemptPlan, shard: number): Promise<string> {
  const [row] = await session.rows<{ by: string; at: string }>(
    `SELECT "CLAIMED_BY" AS "by", ${textOf('"CLAIMED_AT"')} AS "at" FROM ${control(session, 'staging')}
     WHERE "SESSION_UID" = :1 AND "ATTEMPT" = :2 AND "SHARD" = :3`,
    [plan.session.uid, plan.attempt, shard],
  );
  return row ? `${row.by}, ${row.at} UTC` : 'nobody any more';
}

/** Staging tables that are there of this session, of any attempt and shard, or of these. */
export async function stagingTables(
  session: Session,
  sessionUid: string,
  of: { readonly shard?: number; readonly before?: number } = {},
): Promise<string[]> {
  const rows = await session.rows<{ name: string; attempt: number; shard: number }>(
    `SELECT "STAGING_TABLE" AS "name", "ATTEMPT" AS "attempt", "SHARD" AS "shard" FROM ${control(session, 'staging')}
     WHERE "SESSION_UID" = :1 AND "STAGING_TABLE" IN (SELECT TABLE_NAME FROM USER_TABLES)`,
    [sessionUid],
  );
  const { shard, before } = of;
  return rows
    .filter((row) => (shard === undefined || row.shard === shard) && (before === undefined || row.attempt < before))
    .map(({ name }) => name);
}

/**
 * Locks the session's control row in a transaction, and says what it says: null when it is not published. A commit
 * whose reply was lost is over then: its transaction held the same lock.
 */
export async function lockControl(session: Session, plan: AttemptPlan): Promise<Published | null> {
  const [row] = await session.rows<
    Omit<Published, 'already' | 'retries' | 'publishedAt' | 'backupNeeded'> & {
      state: string;
      at: string | null;
      backup: number | null;
    }
  >(
    `SELECT "STATE" AS "state", "ATTEMPT" AS "attempt", "TARGET" AS "table", "ROW_COUNT" AS "rows", "DIGEST" AS "digest",
       ${textOf('"PUBLISHED_AT"')} AS "at", "BACKUP_NEEDED" AS "backup"
     FROM ${control(session, 'exports')} WHERE "SESSION_UID" = :1 FOR UPDATE WAIT 5`,
    [plan.session.uid],
  );
  if (!row) {
    throw problem(
      'control_row_gone',
      `${controlTables.exports} has no row of the session ${plan.session.uid} any more`,
      'Leave the control tables alone. The next attempt makes the row again.',
    );
  }
  const { state, at, backup, ...published } = row;
  if (state !== 'PUBLISHED') return null;
  return { ...published, publishedAt: msOf(at), backupNeeded: backup === 1, already: true, retries: 0 };
}

/** Makes the control row say PUBLISHED, in the transaction that publishes. */
export async function writePublished(
  session: Session,
  plan: AttemptPlan,
  loaded: readonly LoadedShard[],
  backupNeeded: boolean,
): Promise<Published> {
  const { attempt, table, root } = plan;
  const [rows, digest, publishedAt] = [eventsOf(plan), digestOf(loaded), Date.now()];
  await session.run(
    `UPDATE ${control(session, 'exports')} SET "STATE" = 'PUBLISHED', "EXAM" = :1, "ATTEMPT" = :2, "TARGET" = :3,
       "ROW_COUNT" = :4, "DIGEST" = :5, "ROOT" = :6, "PUBLISHED_AT" = ${timestampOf(':7')}, "BACKUP_NEEDED" = :8
     WHERE "SESSION_UID" = :9`,
    [plan.session.exam, attempt, table, rows, digest, root, publishedAt, Number(backupNeeded), plan.session.uid],
  );
  return { attempt, table, rows, digest, publishedAt, backupNeeded, already: false, retries: 0 };
}

/** SHA-256 over the staged digests, a line a shard: equal only when everything that was staged is. */
function digestOf(loaded: readonly LoadedShard[]): string {
  const all = createHash('sha256');
  for (const { shard, rows, digest } of loaded) all.update(`${shard} ${rows} ${digest}\n`);
  return all.digest('hex');
}
