import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import type { PostgresSettings } from '#exporter/sinks/postgres/config.ts';
import { createPostgresSink } from '#exporter/sinks/postgres/sink.ts';
import type { SinkTarget } from '#test/conformance/sink.ts';
import { inBatches, readAll, rowsOf, sorted } from '#test/conformance/sinkrows.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { postgresSql, type StartPostgresOptions, startPostgres, type TestPostgres } from '#test/support/postgres.ts';
import { tmpFolder } from '#test/support/tmp.ts';

export const exporter = { user: 'exporter', password: 'O’Brien\'s "secret" \\ 100 %' } as const;
const database = 'exams';

/** A server with a database and an exporter who may do nothing yet. */
export async function startExamServer(options: StartPostgresOptions = {}): Promise<TestPostgres> {
  const server = await startPostgres(options);
  await server.sql(`CREATE ROLE exporter LOGIN PASSWORD '${exporter.password.replaceAll("'", "''")}'`);
  await server.sql(`CREATE DATABASE ${database}`);
  return server;
}

/** A schema of its own on a server, for one test. */
export interface PostgresTarget extends SinkTarget {
  readonly server: TestPostgres;
  readonly schema: string;
  /** The sink's part of the exporter's configuration. */
  readonly sink: Readonly<Record<string, unknown>>;
  open(sessionUid?: string, changes?: Partial<PostgresSettings>): ReturnType<SinkTarget['open']>;
  /** Runs statements as the administrator. */
  admin(statements: string): Promise<Record<string, unknown>[]>;
}

let schemas = 0;

/** A schema of a name that needs quoting, unless another is wanted. */
export async function postgresTarget(
  server: TestPostgres,
  options: { readonly schema?: string } = {},
): Promise<PostgresTarget> {
  schemas += 1;
  const schema = options.schema ?? `Exam "${schemas}"`;
  const name = `"${schema.replaceAll('"', '""')}"`;
  await server.sql(
    `CREATE SCHEMA ${name} AUTHORIZATION exporter;
     ALTER DEFAULT PRIVILEGES IN SCHEMA ${name} GRANT SELECT, INSERT ON TABLES TO exporter`,
    database,
  );
  const passwordFile = join(tmpFolder('password'), 'password');
  writeFileSync(passwordFile, `${exporter.password}\n`);
  const place = { host: server.host, port: server.port, database, user: exporter.user, schema };
  const settings: PostgresSettings = { ...place, password: exporter.password, tls: null, patienceSeconds: 10 };
  const path = `SET search_path = ${name};`;
  return {
    server,
    schema,
    sink: { kind: 'postgres', ...place, passwordFile, tls: { mode: 'Off' }, patienceSeconds: 10 },
    open(_sessionUid, changes = {}) {
      const sink = createPostgresSink({ ...settings, ...changes });
      onScopeEnd(() => sink.close());
      return sink;
    },
    // From outside, so that what the exporter may do does not matter.
    sql: (statement) => server.sql(`${path} ${statement}`, database),
    admin: (statements) => server.sql(`${path} ${statements}`, database),
  };
}

/** Runs statements as the exporter. */
export function asExporter({ server }: PostgresTarget, statements: string): Promise<Record<string, unknown>[]> {
  return postgresSql({ host: server.host, port: server.port, database, ...exporter }, statements);
}

/** Rows of a session in the target; 0 when there is no table. */
export async function publishedRows(target: PostgresTarget, uid: string): Promise<number> {
  const [known] = await target.sql(`SELECT to_regclass('"EXAM_ANSWERS"') AS it`);
  if (known!.it === null) return 0;
  const [row] = await target.sql(`SELECT count(*)::int AS n FROM "EXAM_ANSWERS" WHERE "SESSION_UID" = '${uid}'`);
  return Number(row!.n);
}

/** The whole export of one attempt, each step as a process of its own would do it. */
export async function exportOnce(
  target: PostgresTarget,
  plan: AttemptPlan,
  changes: Parameters<PostgresTarget['open']>[1] = {},
) {
  const step = async <T>(work: (sink: ReturnType<PostgresTarget['open']>) => Promise<T>): Promise<T> => {
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

export async function expectExported(target: PostgresTarget, plan: AttemptPlan): Promise<void> {
  const sink = target.open();
  await sink.prepare(plan);
  expect(sorted(await readAll(sink))).toEqual(sorted(plan.witnesses.flatMap(({ shard }) => rowsOf(plan, shard))));
  expect(await sink.publish()).toMatchObject({ already: true });
  await sink.close();
}
