import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { crashPoints } from '#exporter/crashpoint.ts';
import { exitCodeOf } from '#exporter/outcome.ts';
import { partitionDdl, targetDdl } from '#exporter/sinks/postgres/target.ts';
import type { TestPostgres } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';
import { loadAll, publish } from './job.ts';
import { postgresTarget, publishedRows, startExamServer } from './postgrestarget.ts';
import { outcomeOf, runExport, startLoad, startPublish } from './programs.ts';
import { sealedSession } from './sealedsession.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startExamServer();
}, 90_000);

const of = (command: string) => crashPoints.filter((point) => point.startsWith(`${command}:`));
const publishing = [...of('publish'), ...of('verify'), ...of('report')];
const committed = publishing.slice(publishing.indexOf('publish:committed'));
/** Where the same attempt can go on after its loader died there. */
const goesOn = ['load:frozen', 'load:recorded'];

test('a session goes into PostgreSQL by the exporter’s programs, which say no password', async () => {
  const session = await sealedSession({ shards: 2 });
  const target = await postgresTarget(server);
  const { last, program } = await runExport(session.config(1, { sink: target.sink }), 2);
  expect(last).toMatchObject({ kind: 'result', ok: true, verified: true, rows: session.total, root: session.root });
  // Proved: nothing is staged any more, and whoever proves it again finds nothing missing.
  const left = `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND starts_with(tablename, 'UNTRADEX_S_')`;
  expect(await target.sql(left)).toEqual([]);
  expect(await publish(session.config(1, { sink: target.sink }))).toMatchObject({ verified: true, already: true });
  const refused = { ...target.sink, user: 'nobody' };
  const { exit, last: problem, program: other } = await runExport(session.config(2, { sink: refused }), 2);
  expect([exit.code, problem.code]).toEqual([1, 'database_refused']);
  for (const { stdout, stderr } of [program, other]) expect(stdout + stderr).not.toContain('O’Brien');
});

test('promise 28: a publisher that stood still while another one published finds that out when it goes on', {
  timeout: 30_000,
}, async () => {
  const session = await sealedSession({ shards: 1 });
  const target = await postgresTarget(server);
  const config = session.config(1, { sink: target.sink });
  await loadAll(config);
  const ddl = [...targetDdl(target.schema, 'EXAM_ANSWERS'), ...partitionDdl(target.schema, 'EXAM_ANSWERS', 'algebra')];
  await target.sql(ddl.join(';'));
  // The table is held by somebody, so that it stands still within its transaction.
  const holder = new pg.Client({
    host: server.host,
    port: server.port,
    database: 'exams',
    ...server.admin,
    ssl: false,
  });
  await holder.connect();
  await holder.query(`BEGIN; LOCK TABLE "${target.schema.replaceAll('"', '""')}"."EXAM_ANSWERS"`);
  const paused = startPublish(config);
  const waiting = `SELECT pid FROM pg_stat_activity WHERE usename = 'exporter' AND wait_event_type = 'Lock'`;
  const [first] = await until(
    async () => {
      const rows = await server.sql(waiting);
      return rows.length > 0 ? rows : null;
    },
    { what: 'the publisher to wait', timeoutMs: 10_000 },
  );
  paused.kill('SIGSTOP');
  // As the server does by itself, after a minute.
  await server.sql(`SELECT pg_terminate_backend(${first!.pid})`);
  await holder.query('ROLLBACK');
  await holder.end();
  expect(await publish(config)).toMatchObject({ verified: true, already: false, rows: session.total });
  paused.kill('SIGCONT');
  expect((await outcomeOf(paused)).last).toMatchObject({ kind: 'result', verified: true, already: true });
  expect(await publishedRows(target, session.uid)).toBe(session.total);
});

describe('kill -9 at every named point', { timeout: 60_000 }, () => {
  test('promise 23: of a loader: the attempt goes on or is over, the next one exports everything once', async () => {
    const session = await sealedSession({ shards: 1 });
    const crashes = of('load').map(async (point) => {
      const target = await postgresTarget(server);
      const config = (attempt: number) => session.config(attempt, { sink: target.sink });
      const { exit } = await outcomeOf(startLoad(config(1), 0, { UNTRADEX_CRASH_AT: point }));
      expect([point, exit.signal]).toEqual([point, 'SIGKILL']);
      expect(await publishedRows(target, session.uid)).toBe(0);
      const again = await loadAll(config(1)).catch((error: unknown) => error);
      const attempt = goesOn.includes(point) ? 1 : 2;
      if (attempt === 1) expect([point, again]).toEqual([point, undefined]);
      else {
        expect([point, again]).toEqual([point, expect.objectContaining({ code: 'staging_ambiguous' })]);
        expect(exitCodeOf(again)).toBe(75);
      }
      await loadAll(config(attempt));
      expect(await publish(config(attempt))).toMatchObject({ verified: true, rows: session.total, attempt });
      expect(await publishedRows(target, session.uid)).toBe(session.total);
    });
    await Promise.all(crashes);
  });

  test('promise 28: of the publisher: all or nothing, and the next publisher reads which', async () => {
    const session = await sealedSession({ shards: 2 });
    const crashes = publishing.map(async (point) => {
      const target = await postgresTarget(server);
      const report = `${session.report}.${point.replace(':', '-')}`;
      const config = (attempt: number) => session.config(attempt, { sink: target.sink, report });
      await loadAll(config(1));
      const { exit } = await outcomeOf(startPublish(config(1), { UNTRADEX_CRASH_AT: point }));
      expect([point, exit.signal]).toEqual([point, 'SIGKILL']);
      const already = committed.includes(point);
      expect([point, await publishedRows(target, session.uid)]).toEqual([point, already ? session.total : 0]);
      // The same attempt, and one that has staged nothing: the control row is read before anything else.
      expect([point, await publish(config(already ? 2 : 1))]).toEqual([
        point,
        expect.objectContaining({ verified: true, already, rows: session.total, root: session.root }),
      ]);
      expect(await publishedRows(target, session.uid)).toBe(session.total);
    });
    await Promise.all(crashes);
  });
});
