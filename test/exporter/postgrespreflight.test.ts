import { randomUUID } from 'node:crypto';
import { chmodSync, chownSync, copyFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import { controlDdl } from '#exporter/sinks/postgres/control.ts';
import { faultsOf, type ServerFacts } from '#exporter/sinks/postgres/preflight.ts';
import { partitionDdl, targetDdl } from '#exporter/sinks/postgres/target.ts';
import { isProblem, type Problem } from '#queue/problem.ts';
import { inBatches, planOf, readAll, rowsOf, sorted } from '#test/conformance/sinkrows.ts';
import { hasOpenssl, makeCertificate } from '#test/support/certificate.ts';
import type { TestPostgres } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';
import { asExporter, type PostgresTarget, postgresTarget, startExamServer } from './postgrestarget.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startExamServer();
}, 90_000);

async function problemOf(work: Promise<unknown>): Promise<Problem> {
  const error = await work.catch((reason: unknown) => reason);
  if (isProblem(error)) return error;
  throw new Error('no Problem', { cause: error });
}

async function prepare(target: PostgresTarget, plan: AttemptPlan): Promise<void> {
  const sink = target.open();
  try {
    await sink.prepare(plan);
  } finally {
    await sink.close();
  }
}

async function exportAll(target: PostgresTarget, plan: AttemptPlan) {
  const sink = target.open();
  await sink.prepare(plan);
  for (const { shard } of plan.witnesses) await sink.load(shard, inBatches(rowsOf(plan, shard)));
  return sink.publish();
}

async function stored(target: PostgresTarget, plan: AttemptPlan) {
  const sink = target.open();
  await sink.prepare(plan);
  return sorted(await readAll(sink));
}

describe('before anything is written', () => {
  test('everything that is missing is said at once, with the SQL that mends it', async () => {
    const target = await postgresTarget(server);
    const { admin, schema } = target;
    const quoted = `"${schema.replaceAll('"', '""')}"`;
    await admin(`ALTER SCHEMA ${quoted} OWNER TO admin; GRANT USAGE ON SCHEMA ${quoted} TO exporter;
      CREATE TABLE "EXAM_ANSWERS" ("EXAM" text, "X" int) PARTITION BY LIST ("EXAM"); REVOKE ALL ON "EXAM_ANSWERS" FROM exporter;
      CREATE TABLE "UNTRADEX_EXPORTS" ("X" int)`);
    const { code, message, remedy } = await problemOf(prepare(target, planOf([3])));
    expect(code).toBe('database_unprepared');
    for (const what of [
      `exporter lacks CREATE on the schema ${schema}`,
      'exporter lacks SELECT and INSERT on the table EXAM_ANSWERS',
      'EXAM_ANSWERS has no partition for the exam algebra, and exporter may not make one',
      'exporter lacks UPDATE on the table UNTRADEX_EXPORTS',
    ]) {
      expect(message).toContain(what);
    }
    // What is said mends it.
    const sql = remedy.split('\n').filter((line) => line.endsWith(';'));
    expect(sql).toHaveLength(4);
    for (const statement of sql) await admin(statement);
    await admin('DROP TABLE "UNTRADEX_EXPORTS"');
    await prepare(target, planOf([3]));
  });

  test('a schema that is not there', async () => {
    const target = await postgresTarget(server);
    const sink = target.open('', { schema: 'Nowhere' });
    const { message, remedy } = await problemOf(sink.prepare(planOf([3])));
    expect(message).toContain('there is no schema Nowhere');
    expect(remedy).toContain('CREATE SCHEMA "Nowhere" AUTHORIZATION "exporter";');
  });

  test('a database that is not UTF8, and a server that takes no writes', async () => {
    const target = await postgresTarget(server);
    await server.sql(`CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0`);
    await server.sql('ALTER DATABASE old SET default_transaction_read_only = on');
    const sink = target.open('', { database: 'old', schema: 'public' });
    const { message, remedy } = await problemOf(sink.prepare(planOf([3])));
    expect(message).toContain('the database old has the encoding LATIN1, answers need UTF8');
    expect(message).toContain('this server takes no writes');
    expect(remedy).toContain(`ENCODING 'UTF8'`);
  });

  test('an old version, and fsync off', () => {
    const facts: ServerFacts = {
      ...{ version: 120_018, versionText: '12.18', encoding: 'UTF8', standby: false, fsync: false },
      ...{ user: 'u', database: 'd', schema: { usage: true, create: true }, relations: [] },
    };
    const faults = faultsOf(facts, { schema: 's', table: 't', exam: 'e' });
    expect(faults.map(({ what }) => what)).toEqual([
      'PostgreSQL 12.18 is older than 13',
      'fsync is off: what is committed would not survive a power failure',
    ]);
  });

  test.each([
    ['a wrong password', { password: 'wrong' }, 'password authentication failed'],
    ['no password', { password: null }, 'asks for the password of exporter, and none is configured'],
    ['a database that is not there', { database: 'nowhere' }, 'database "nowhere" does not exist'],
    ['TLS that the server does not have', { tls: {} }, 'does not support SSL'],
  ])('%s is for a person, and no password is told', async (_what, changes, says) => {
    const target = await postgresTarget(server);
    const found = await problemOf(target.open('', changes).prepare(planOf([3])));
    expect([found.code, found.message]).toEqual(['database_refused', expect.stringContaining(says)]);
    for (const word of ['O’Brien', 'wrong']) expect(JSON.stringify([found.message, found.remedy])).not.toContain(word);
  });

  test('a server that is away is waited for, and then named as it is', async () => {
    const target = await postgresTarget(server);
    const away = { port: 1, patienceSeconds: 0.6 };
    const found = await problemOf(target.open('', away).prepare(planOf([3])));
    expect([found.code, found.message]).toEqual(['database_unreachable', expect.stringContaining('ECONNREFUSED')]);
  });
});

describe('the table that it makes', () => {
  test('is partitioned by exam, with its key and a BRIN index; another exam gets another partition', async () => {
    const target = await postgresTarget(server);
    const names = ['algebra', `Geometrie für "Fortgeschrittene" II; it's`];
    for (const exam of names) {
      const plan = planOf([30], { session: { name: 'x', uid: randomUUID(), exam, rehearsal: false } });
      expect(await exportAll(target, plan)).toMatchObject({ rows: 30, already: false });
      expect(await stored(target, plan)).toEqual(sorted(rowsOf(plan, 0)));
    }
    const partitions = await target.sql(
      `SELECT c.relname, obj_description(c.oid) AS about, pg_get_expr(c.relpartbound, c.oid) AS bound,
         (SELECT string_agg(am.amname || ' ' || i.indisunique, ',' ORDER BY am.amname) FROM pg_index i
          JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am am ON am.oid = x.relam WHERE i.indrelid = c.oid) AS indexes
       FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = '"EXAM_ANSWERS"'::regclass AND c.relkind = 'r'
       ORDER BY c.oid`,
    );
    expect(partitions.map(({ about }) => about)).toEqual(names.map((name) => `Answers of the exam ${name}`));
    for (const { indexes } of partitions) expect(indexes).toBe('brin false,btree true');
    expect(partitions[1]!.relname).toMatch(/^EXAM_ANSWERS_Geometrie_f_r_Fo_[0-9a-f]{10}$/);
  });

  test('is what the printed DDL makes', async () => {
    const target = await postgresTarget(server);
    const statements = [
      ...targetDdl(target.schema, 'EXAM_ANSWERS'),
      ...partitionDdl(target.schema, 'EXAM_ANSWERS', 'algebra'),
    ];
    await target.admin(statements.join(';\n'));
    const plan = planOf([30]);
    expect(await exportAll(target, plan)).toMatchObject({ rows: 30 });
    expect(
      await target.sql(`SELECT count(*)::int AS n FROM pg_inherits WHERE inhparent = '"EXAM_ANSWERS"'::regclass`),
    ).toEqual([{ n: 1 }]);
  });
});

describe('a table that somebody else made', () => {
  const plain = `CREATE TABLE "EXAM_ANSWERS" ("LATE" boolean, "SHARD" smallint, "EXAM" varchar(128), "SESSION_UID" varchar,
    "STUDENT" varchar(128), "ORDER_NO" bigint, "WRITER" text, "SEQ" bigint, "PAYLOAD" text, "RECEIVED_AT" timestamp,
    "DURABLE_AT" timestamptz, "LOADED_AT" timestamptz DEFAULT now() NOT NULL, "NOTE" text`;

  test('is taken when its columns fit, keys or no keys, and its indexes are left alone', async () => {
    for (const key of ['', ', UNIQUE ("SESSION_UID", "STUDENT", "WRITER", "SEQ")']) {
      const target = await postgresTarget(server);
      await target.admin(`${plain}${key}); CREATE INDEX own ON "EXAM_ANSWERS" ("NOTE")`);
      const indexes = () =>
        target.sql(
          `SELECT indexname FROM pg_indexes WHERE tablename = 'EXAM_ANSWERS' AND schemaname = current_schema() ORDER BY 1`,
        );
      const before = await indexes();
      const plan = planOf([60, 7]);
      await exportAll(target, plan);
      expect(await stored(target, plan)).toEqual(sorted([...rowsOf(plan, 0), ...rowsOf(plan, 1)]));
      expect(await indexes()).toEqual(before);
    }
  });

  test('without a key, doubled rows are found all the same', async () => {
    const target = await postgresTarget(server);
    await target.admin(`${plain})`);
    const plan = planOf([60]);
    const sink = target.open();
    await sink.prepare(plan);
    await sink.load(0, inBatches(rowsOf(plan, 0, (row, i) => (i === 57 ? { seq: row.seq - 1 } : {}))));
    expect(await problemOf(sink.publish())).toMatchObject({
      code: 'rows_doubled',
      message: expect.stringContaining('student student-0-0, writer writer-0, seq 19: 2'),
    });
    expect(await target.sql('SELECT count(*)::int AS n FROM "EXAM_ANSWERS"')).toEqual([{ n: 0 }]);
  });

  test('a column that would change values is named', async () => {
    const target = await postgresTarget(server);
    const unfit = plain
      .replace('"PAYLOAD" text', '"PAYLOAD" jsonb')
      .replace('"STUDENT" varchar(128)', '"STUDENT" varchar(20)')
      .replace('"RECEIVED_AT" timestamp', '"RECEIVED_AT" timestamp(0)')
      .replace('"NOTE" text', '"NOTE" text NOT NULL');
    await target.admin(`${unfit})`.replace('CREATE TABLE', 'CREATE UNLOGGED TABLE'));
    const { code, message } = await problemOf(exportAll(target, planOf([3])));
    expect(code).toBe('target_unfit');
    for (const what of [
      'PAYLOAD must be text, it is jsonb',
      'STUDENT must be text COLLATE "C", it is character varying(20)',
      'RECEIVED_AT must be timestamptz(3), it is timestamp without time zone(0)',
      'NOTE must allow nulls or have a default',
      'it must be permanent',
    ]) {
      expect(message).toContain(what);
    }
  });

  test('whose trigger drops rows, or whose check refuses them, publishes nothing', async () => {
    for (const [guard, says] of [
      [
        `CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW."SEQ" = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
         CREATE TRIGGER t BEFORE INSERT ON "EXAM_ANSWERS" FOR EACH ROW EXECUTE FUNCTION drop_some()`,
        'it took 57 of 60 rows',
      ],
      ['ALTER TABLE "EXAM_ANSWERS" ADD CONSTRAINT few CHECK ("ORDER_NO" < 3)', '(23514)'],
    ]) {
      const target = await postgresTarget(server);
      await target.admin(`${plain}); ${guard}`);
      const { code, message } = await problemOf(exportAll(target, planOf([60])));
      expect([code, message]).toEqual(['target_unfit', expect.stringContaining(says!)]);
      expect(message).not.toContain('student-');
      expect(await target.sql('SELECT count(*)::int AS n FROM "EXAM_ANSWERS"')).toEqual([{ n: 0 }]);
    }
  });
});

test.skipIf(!hasOpenssl())('over TLS, with the authority that is given and no other', async () => {
  const { certFile, keyFile } = makeCertificate('postgres');
  const { uid, gid } = statSync(server.dir);
  for (const [from, name] of [
    [certFile, 'server.crt'],
    [keyFile, 'server.key'],
  ] as const) {
    copyFileSync(from, join(server.dir, name));
    chmodSync(join(server.dir, name), 0o600);
    chownSync(join(server.dir, name), uid, gid);
  }
  await server.sql('ALTER SYSTEM SET ssl = on');
  await server.sql('SELECT pg_reload_conf()');
  await until(async () => (await server.sql('SHOW ssl'))[0]?.ssl === 'on', { what: 'TLS to be on' });
  const target = await postgresTarget(server);
  const tls = { ca: readFileSync(certFile, 'utf8') };
  const sink = target.open('', { tls });
  await sink.prepare(planOf([3]));
  const [row] = await server.sql(
    `SELECT bool_and(ssl) AS encrypted FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'exporter'`,
  );
  expect(row).toEqual({ encrypted: true });
  await sink.load(0, inBatches(rowsOf(planOf([3]), 0)));
  // A server may be reached under a name that its certificate does not have.
  const elsewhere = target.open('', { tls: { ...tls, servername: 'postgres' }, host: 'localhost' });
  await elsewhere.prepare(planOf([3]));
  const others = [
    target.open('', { tls: {} }),
    target.open('', { tls, host: 'localhost' }),
    target.open('', { tls: { ...tls, servername: 'another' } }),
  ];
  for (const other of others)
    expect(await problemOf(other.prepare(planOf([3])))).toMatchObject({ code: 'database_refused' });
});

test('the exporter needs no more than its schema', async () => {
  const target = await postgresTarget(server);
  expect(
    await asExporter(
      target,
      'SELECT rolsuper OR rolcreatedb OR rolcreaterole AS much FROM pg_roles WHERE rolname = current_user',
    ),
  ).toEqual([{ much: false }]);
});

test('docs/postgres.md shows the statements that are run', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/postgres.md'), 'utf8');
  const statements = [
    ...targetDdl('public', 'EXAM_ANSWERS'),
    ...partitionDdl('public', 'EXAM_ANSWERS', 'Algebra I'),
    ...controlDdl('public'),
  ];
  for (const statement of statements) expect(page).toContain(`${statement};`);
});
