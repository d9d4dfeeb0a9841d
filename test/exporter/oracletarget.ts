import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import type { OracleSettings } from '#exporter/sinks/oracle/config.ts';
import { connect } from '#exporter/sinks/oracle/connection.ts';
import { createOracleSink } from '#exporter/sinks/oracle/sink.ts';
import type { SinkTarget } from '#test/conformance/sink.ts';
import { inBatches, readAll, rowsOf, sorted } from '#test/conformance/sinkrows.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type StartOracleOptions, startOracle, type TestOracle } from '#test/support/oracle.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** A schema without any of our tables, for one test. */
export interface OracleTarget extends SinkTarget {
  readonly settings: OracleSettings;
  /** The sink's part of the exporter's configuration. */
  readonly sink: Readonly<Record<string, unknown>>;
  open(sessionUid?: string, changes?: Partial<OracleSettings>): ReturnType<SinkTarget['open']>;
}

/** The same, on a double: then places may be named at which things go wrong. */
export interface DoubleTarget extends OracleTarget {
  readonly server: TestOracle;
}

const unencrypted = { wallet: null, walletPassword: null, ca: null, serverDn: null } as const;

function settingsOf(connectString: string, user: string, password: string): OracleSettings {
  return {
    ...{ connectString, user, password, schema: null, tablespace: null, partition: 'None', targetLogging: 'Logging' },
    ...{ loading: 'DirectPath', tls: unencrypted, patienceSeconds: 10 },
  };
}

function targetOf(settings: OracleSettings, sql: OracleTarget['sql']): OracleTarget {
  const { connectString, user, password } = settings;
  const passwordFile = join(tmpFolder('password'), 'password');
  writeFileSync(passwordFile, `${password}\n`);
  return {
    settings,
    sink: { kind: 'oracle', connectString, user, passwordFile, patienceSeconds: 10 },
    open(_sessionUid, changes = {}) {
      const sink = createOracleSink({ ...settings, ...changes });
      onScopeEnd(() => sink.close());
      return sink;
    },
    sql: (statement) => sql(inOracle(statement)),
  };
}

/** What the suites for every sink say in standard SQL, in that of Oracle before 23ai. */
function inOracle(statement: string): string {
  return statement
    .replace(/\btrue\b/g, '1')
    .replace(/\bfalse\b/g, '0')
    .replace(/\bVARCHAR\(/g, 'VARCHAR2(');
}

/** A double of its own. */
export async function doubleTarget(options: StartOracleOptions = {}): Promise<DoubleTarget> {
  const server = await startOracle(options);
  const settings = settingsOf(server.connectString, server.user, server.password);
  return { ...targetOf(settings, (statement) => server.sql(statement)), server };
}

/** A real server where ORACLE_CONNECT_STRING names one (docs/oracle.md says how), else a double. */
export async function oracleTarget(): Promise<OracleTarget> {
  const { ORACLE_CONNECT_STRING: place, ORACLE_USER = 'untradex', ORACLE_PASSWORD = 'untradex' } = process.env;
  if (place === undefined) return doubleTarget();
  const settings = settingsOf(place, ORACLE_USER, ORACLE_PASSWORD);
  const sql = (statement: string) => runBeside(settings, statement);
  const tables = await sql(
    `SELECT TABLE_NAME AS "N" FROM USER_TABLES WHERE TABLE_NAME LIKE 'UNTRADEX\\_%' ESCAPE '\\'
       OR TABLE_NAME IN ('EXAM_ANSWERS', 'OTHER_ANSWERS', 'UNTOUCHED')`,
  );
  for (const { N: name } of tables) await sql(`DROP TABLE "${name}" PURGE`);
  return targetOf(settings, sql);
}

async function runBeside(settings: OracleSettings, statement: string): Promise<Record<string, unknown>[]> {
  const session = await connect(settings);
  try {
    if (/^\s*SELECT\b/i.test(statement)) return await session.rows<Record<string, unknown>>(statement);
    await session.transaction(() => session.run(statement));
    return [];
  } finally {
    await session.close();
  }
}

/** Rows of a session in the target; 0 when there is no table. */
export async function publishedRows(target: OracleTarget, uid: string): Promise<number> {
  const [known] = await target.sql(`SELECT COUNT(*) AS "N" FROM USER_TABLES WHERE TABLE_NAME = 'EXAM_ANSWERS'`);
  if (Number(known!.N) === 0) return 0;
  const [row] = await target.sql(`SELECT COUNT(*) AS "N" FROM "EXAM_ANSWERS" WHERE "SESSION_UID" = '${uid}'`);
  return Number(row!.N);
}

/** The whole export of one attempt, each step as a process of its own would do it. */
export async function exportOnce(target: OracleTarget, plan: AttemptPlan, changes: Partial<OracleSettings> = {}) {
  const step = async <T>(work: (sink: ReturnType<OracleTarget['open']>) => Promise<T>): Promise<T> => {
    const sink = target.open('', changes);
    try {
      await sink.prepare(plan);
      return await work(sink);
    } finally {
      await sink.close();
    }
  };
  for (const { shard } of plan.witnesses) await step((sink) => sink.load(shard, inBatches(rowsOf(plan, shard))));
  return step((sink) => sink.publish());
}

export async function expectExported(target: OracleTarget, plan: AttemptPlan): Promise<void> {
  const sink = target.open();
  await sink.prepare(plan);
  expect(sorted(await readAll(sink))).toEqual(sorted(plan.witnesses.flatMap(({ shard }) => rowsOf(plan, shard))));
  expect(await sink.publish()).toMatchObject({ already: true });
  await sink.close();
}
