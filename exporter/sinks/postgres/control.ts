import { createHash } from 'node:crypto';
import { problem } from '#queue/problem.ts';
import { type AttemptPlan, eventsOf, planText } from '../../attempt.ts';
import type { LoadedShard, Published } from '../../sink.ts';
import type { Session } from './connection.ts';
import { controlTables, literal, qualified } from './names.ts';

// What is known of sessions and attempts, in three tables beside the target:
//
//   UNTRADEX_EXPORTS   a row a session: STATE is STAGING until the transaction that publishes makes it PUBLISHED.
//                      A publisher locks it first, so there is one at a time.
//   UNTRADEX_ATTEMPTS  a row an attempt: its plan, frozen by whoever came first
//   UNTRADEX_STAGING   a row a shard of an attempt: made before the first row is loaded (the claim), completed in the
//                      transaction that loads the rows (the record)
//
//   nothing ─claim (with an empty staging table)▶ claimed ─rows and record, one transaction▶ staged
//
// A claim without a record is doubtful for good. No row is ever deleted.

/** The statements that make the control tables. */
export function controlDdl(schema: string): string[] {
  const { exports, attempts, staging } = controlTables;
  return [
    `CREATE TABLE IF NOT EXISTS ${qualified(schema, exports)} (
  "SESSION_UID" text COLLATE "C" PRIMARY KEY,
  "EXAM" text NOT NULL,
  "STATE" text NOT NULL,
  "ATTEMPT" integer,
  "TARGET" text,
  "ROW_COUNT" bigint,
  "DIGEST" text,
  "ROOT" text,
  "PUBLISHED_AT" timestamptz(3)
)`,
    `CREATE TABLE IF NOT EXISTS ${qualified(schema, attempts)} (
  "SESSION_UID" text COLLATE "C",
  "ATTEMPT" integer,
  "PLAN" text NOT NULL,
  "BEGUN_AT" timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY ("SESSION_UID", "ATTEMPT")
)`,
    `CREATE TABLE IF NOT EXISTS ${qualified(schema, staging)} (
  "SESSION_UID" text COLLATE "C",
  "ATTEMPT" integer,
  "SHARD" integer,
  "STAGING_TABLE" text NOT NULL,
  "CLAIMED_BY" text NOT NULL,
  "CLAIMED_AT" timestamptz(3) NOT NULL DEFAULT now(),
  "ROW_COUNT" bigint,
  "BYTES" bigint,
  "DIGEST" text,
  "STARTED_AT" timestamptz(3),
  "ENDED_AT" timestamptz(3),
  PRIMARY KEY ("SESSION_UID", "ATTEMPT", "SHARD")
)`,
  ];
}

/** One of us at a time makes tables: `CREATE TABLE IF NOT EXISTS` alone fails when two do it at once. */
export function lockDdl(session: Session, schema: string): Promise<unknown> {
  return session.rows(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text`, [`untradex ddl ${schema}`]);
}

/** Makes the control tables when they are missing, and freezes the plan, or finds it frozen. */
export async function freezePlan(session: Session, schema: string, plan: AttemptPlan): Promise<void> {
  const { exports, attempts } = controlTables;
  await makeControl(session, schema);
  const { uid, exam } = plan.session;
  const text = planText(plan);
  const [row] = await session.transaction(async () => {
    await session.run(
      `INSERT INTO ${qualified(schema, exports)} ("SESSION_UID", "EXAM", "STATE") VALUES ($1, $2, 'STAGING')
       ON CONFLICT DO NOTHING`,
      [uid, exam],
    );
    await session.run(
      `INSERT INTO ${qualified(schema, attempts)} ("SESSION_UID", "ATTEMPT", "PLAN") VALUES ($1, $2, $3)
       ON CONFLICT DO NOTHING`,
      [uid, plan.attempt, text],
    );
    return session.rows<{ plan: string }>(
      `SELECT "PLAN" AS plan FROM ${qualified(schema, attempts)} WHERE "SESSION_UID" = $1 AND "ATTEMPT" = $2`,
      [uid, plan.attempt],
    );
  });
  if (row?.plan === text) return;
  throw problem(
    'attempt_changed',
    `attempt ${plan.attempt} was begun with another plan than this one (${attempts} holds it)`,
    'An attempt keeps its plan: what was changed in the session is for a new attempt, with the next number.',
  );
}

async function makeControl(session: Session, schema: string): Promise<void> {
  const names = Object.values(controlTables).map((name) => literal(qualified(schema, name)));
  const [row] = await session.rows<{ missing: boolean }>(
    `SELECT bool_or(to_regclass(name) IS NULL) AS missing FROM unnest(ARRAY[${names.join(', ')}]) AS name`,
  );
  if (!row!.missing) return;
  await session.transaction(async () => {
    await lockDdl(session, schema);
    for (const statement of controlDdl(schema)) await session.run(statement);
  });
}

/** Claims a shard within a transaction. False: somebody else has. Waits for one who is just claiming it. */
export async function claimShard(
  session: Session,
  schema: string,
  plan: AttemptPlan,
  claim: { readonly shard: number; readonly table: string; readonly by: string },
): Promise<boolean> {
  const count = await session.run(
    `INSERT INTO ${qualified(schema, controlTables.staging)}
       ("SESSION_UID", "ATTEMPT", "SHARD", "STAGING_TABLE", "CLAIMED_BY") VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT DO NOTHING`,
    [plan.session.uid, plan.attempt, claim.shard, claim.table, claim.by],
  );
  return count === 1;
}

/** Completes a claim, in the transaction that loads the rows. */
export async function recordShard(
  session: Session,
  schema: string,
  plan: AttemptPlan,
  by: string,
  loaded: LoadedShard,
): Promise<void> {
  const { shard, rows, bytes, digest, startedAt, endedAt } = loaded;
  const count = await session.run(
    `UPDATE ${qualified(schema, controlTables.staging)} SET "ROW_COUNT" = $5, "BYTES" = $6, "DIGEST" = $7,
       "STARTED_AT" = ${timeOf('$8')}, "ENDED_AT" = ${timeOf('$9')}
     WHERE "SESSION_UID" = $1 AND "ATTEMPT" = $2 AND "SHARD" = $3 AND "CLAIMED_BY" = $4 AND "ENDED_AT" IS NULL`,
    [plan.session.uid, plan.attempt, shard, by, rows, bytes, digest, startedAt, endedAt],
  );
  if (count === 1) return;
  throw problem(
    'staging_ambiguous',
    `the claim on shard ${shard} of this attempt is gone from ${controlTables.staging}`,
    'Nothing is lost: begin a new attempt, and leave the control tables alone.',
  );
}

/** What the loaders of this attempt recorded. */
export async function readRecords(session: Session, schema: string, plan: AttemptPlan): Promise<LoadedShard[]> {
  const rows = await session.rows<Omit<LoadedShard, 'attempt'>>(
    `SELECT "SHARD" AS shard, "ROW_COUNT"::float8 AS rows, "BYTES"::float8 AS bytes, "DIGEST" AS digest,
       ${msOf('"STARTED_AT"')} AS "startedAt", ${msOf('"ENDED_AT"')} AS "endedAt"
     FROM ${qualified(schema, controlTables.staging)}
     WHERE "SESSION_UID" = $1 AND "ATTEMPT" = $2 AND "ENDED_AT" IS NOT NULL ORDER BY "SHARD"`,
    [plan.session.uid, plan.attempt],
  );
  return rows.map(({ shard, ...rest }) => ({ shard, attempt: plan.attempt, ...rest }));
}

/** Who claimed a shard of this attempt, and when, in words. */
export async function claimHolder(session: Session, schema: string, plan: AttemptPlan, shard: number): Promise<string> {
  const [row] = await session.rows<{ by: string; at: string }>(
    `SELECT "CLAIMED_BY" AS by, "CLAIMED_AT"::text AS at FROM ${qualified(schema, controlTables.staging)}
     WHERE "SESSION_UID" = $1 AND "ATTEMPT" = $2 AND "SHARD" = $3`,
    [plan.session.uid, plan.attempt, shard],
  );
  return row ? `${row.by}, ${row.at}` : 'nobody any more';
}

/** Staging tables that were made for this session in any attempt, or in attempts before `before`. */
export async function stagingTables(
  session: Session,
  schema: string,
  sessionUid: string,
  of: { readonly shard?: number; readonly before?: number } = {},
): Promise<string[]> {
  const rows = await session.rows<{ name: string }>(
    `SELECT s."STAGING_TABLE" AS name FROM ${qualified(schema, controlTables.staging)} AS s
       JOIN pg_class AS c ON c.relname = s."STAGING_TABLE"
       JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $2
     WHERE s."SESSION_UID" = $1 AND ($3::int4 IS NULL OR s."SHARD" = $3) AND ($4::int4 IS NULL OR s."ATTEMPT" < $4)`,
    [sessionUid, schema, of.shard ?? null, of.before ?? null],
  );
  return rows.map(({ name }) => name);
}

/** Locks the session's control row in a transaction, and says what it says: null when it is not published. */
export async function lockControl(session: Session, schema: string, plan: AttemptPlan): Promise<Published | null> {
  const [row] = await session.rows<Omit<Published, 'already' | 'retries'> & { state: string }>(
    `SELECT "STATE" AS state, "ATTEMPT" AS attempt, "TARGET" AS table, "ROW_COUNT"::float8 AS rows, "DIGEST" AS digest,
       ${msOf('"PUBLISHED_AT"')} AS "publishedAt"
     FROM ${qualified(schema, controlTables.exports)} WHERE "SESSION_UID" = $1 FOR UPDATE`,
    [plan.session.uid],
  );
  if (!row) {
    throw problem(
      'control_row_gone',
      `${controlTables.exports} has no row of the session ${plan.session.uid} any more`,
      'Leave the control tables alone. The next attempt makes the row again.',
    );
  }
  const { state, ...published } = row;
  return state === 'PUBLISHED' ? { ...published, already: true, retries: 0 } : null;
}

/** Makes the control row say PUBLISHED, in the transaction that publishes. */
export async function writePublished(
  session: Session,
  schema: string,
  plan: AttemptPlan,
  loaded: readonly LoadedShard[],
): Promise<Published> {
  const published = {
    attempt: plan.attempt,
    table: plan.table,
    rows: eventsOf(plan),
    digest: digestOf(loaded),
    publishedAt: Date.now(),
  };
  const { attempt, table, rows, digest, publishedAt } = published;
  await session.run(
    `UPDATE ${qualified(schema, controlTables.exports)} SET "STATE" = 'PUBLISHED', "EXAM" = $2, "ATTEMPT" = $3,
       "TARGET" = $4, "ROW_COUNT" = $5, "DIGEST" = $6, "ROOT" = $7, "PUBLISHED_AT" = ${timeOf('$8')}
     WHERE "SESSION_UID" = $1`,
    [plan.session.uid, plan.session.exam, attempt, table, rows, digest, plan.root, publishedAt],
  );
  return { ...published, already: false, retries: 0 };
}

/** SHA-256 over the staged digests, a line a shard: equal only when everything that was staged is. */
function digestOf(loaded: readonly LoadedShard[]): string {
  const hash = createHash('sha256');
  for (const { shard, rows, digest } of loaded) hash.update(`${shard} ${rows} ${digest}\n`);
  return hash.digest('hex');
}

function timeOf(parameter: string): string {
  return `timestamptz 'epoch' + ${parameter}::int8 * interval '1 millisecond'`;
}

function msOf(column: string): string {
  return `round(extract(epoch FROM ${column}) * 1000)::float8`;
}
