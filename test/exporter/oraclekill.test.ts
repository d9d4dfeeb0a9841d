import { describe, expect, test } from 'vitest';
import { crashPoints } from '#exporter/crashpoint.ts';
import { exitCodeOf } from '#exporter/outcome.ts';
import { until } from '#test/support/until.ts';
import { loadAll, publish } from './job.ts';
import { doubleTarget, publishedRows } from './oracletarget.ts';
import { outcomeOf, runExport, startLoad, startPublish } from './programs.ts';
import { sealedSession } from './sealedsession.ts';

const of = (command: string) => crashPoints.filter((point) => point.startsWith(`${command}:`));
const publishing = [...of('publish'), ...of('verify'), ...of('report')];
const committed = publishing.slice(publishing.indexOf('publish:committed'));
/** Where the same attempt can go on after its loader died there. */
const goesOn = ['load:frozen', 'load:recorded'];

test('a session goes into Oracle by the exporter’s programs, which say no password', { timeout: 30_000 }, async () => {
  const session = await sealedSession({ shards: 2 });
  const target = await doubleTarget();
  const { last, program } = await runExport(session.config(1, { sink: target.sink }), 2);
  expect(last).toMatchObject({ kind: 'result', ok: true, verified: true, rows: session.total, root: session.root });
  expect(last.backupNeeded).toBe(false);
  // Proved: nothing is staged any more, and whoever proves it again finds nothing missing.
  const left = `SELECT TABLE_NAME FROM USER_TABLES WHERE TABLE_NAME LIKE 'UNTRADEX_S_%'`;
  const staged = (await target.sql(left)).map((row) => String(row.TABLE_NAME));
  expect(staged.filter((name) => name.startsWith('UNTRADEX_S_'))).toEqual([]);
  expect(await publish(session.config(1, { sink: target.sink }))).toMatchObject({ verified: true, already: true });
  target.server.faults.add({ match: ({ what }) => what === 'password', ora: 1017 });
  const { exit, last: problem, program: other } = await runExport(session.config(2, { sink: target.sink }), 2);
  expect([exit.code, problem.code]).toEqual([1, 'database_refused']);
  for (const { stdout, stderr } of [program, other]) expect(stdout + stderr).not.toContain(target.server.password);
});

test('promise 23: a loader that stood still while a later attempt exported everything changes nothing when it goes on', {
  timeout: 30_000,
}, async () => {
  const session = await sealedSession({ shards: 1 });
  const target = await doubleTarget();
  const config = (attempt: number) => session.config(attempt, { sink: target.sink });
  const paused = startLoad(config(1), 0, { UNTRADEX_PAUSE_AT: 'load:half' });
  const loading = () => target.server.log.some(({ what }) => what === 'finish');
  await until(loading, { what: 'the first batch', timeoutMs: 10_000 });
  await loadAll(config(2));
  expect(await publish(config(2))).toMatchObject({ verified: true, attempt: 2, rows: session.total });
  const goOn = () => {
    paused.kill('SIGCONT');
    return paused.exit !== undefined;
  };
  // It may not stand still yet.
  await until(goOn, { what: 'its end', timeoutMs: 10_000 });
  expect((await outcomeOf(paused)).last).toMatchObject({ kind: 'problem', code: 'staging_ambiguous' });
  expect(await publish(config(2))).toMatchObject({ verified: true, already: true, attempt: 2, rows: session.total });
});

test('promise 28: a publisher that stood still while another one published finds that out when it goes on', {
  timeout: 60_000,
}, async () => {
  const session = await sealedSession({ shards: 1 });
  const target = await doubleTarget();
  const config = session.config(1, { sink: target.sink });
  await loadAll(config);
  const paused = startPublish(config, { UNTRADEX_PAUSE_AT: 'publish:before-commit' });
  const inserted = () => target.server.log.findLast(({ sql }) => /^INSERT \/\*\+ APPEND/.test(sql ?? ''))?.connection;
  const connection = await until(inserted, { what: 'the rows to be inserted', timeoutMs: 10_000 });
  // It holds the session's row: another publisher waits, and says for whom.
  const waiting = session.config(1, { sink: { ...target.sink, patienceSeconds: 0 } });
  expect(await publish(waiting).catch((error: unknown) => error)).toMatchObject({ code: 'target_locked' });
  expect(await publishedRows(target, session.uid)).toBe(0);
  // As an administrator does, or MAX_IDLE_BLOCKER_TIME.
  target.server.kill(connection);
  expect(await publish(config)).toMatchObject({ verified: true, already: false, rows: session.total });
  paused.kill('SIGCONT');
  expect((await outcomeOf(paused)).last).toMatchObject({ kind: 'result', verified: true, already: true });
  expect(await publishedRows(target, session.uid)).toBe(session.total);
});

test('promise 23: two pods of one shard at once: one stages it, and the export goes through', {
  timeout: 30_000,
}, async () => {
  const session = await sealedSession({ shards: 1 });
  const target = await doubleTarget();
  const config = session.config(1, { sink: target.sink });
  const ends = await Promise.all([startLoad(config, 0), startLoad(config, 0)].map(outcomeOf));
  // Whoever comes after the other has finished is told the same; whoever comes before, that the attempt is over.
  const codes = ends.map(({ exit }) => exit.code).sort();
  expect([0, 75]).toContain(codes[1]);
  expect(codes[0]).toBe(0);
  expect(await publish(config)).toMatchObject({ verified: true, rows: session.total });
  expect(await publishedRows(target, session.uid)).toBe(session.total);
});

describe('kill -9 at every named point', { timeout: 90_000 }, () => {
  test('promise 23: of a loader: the attempt goes on or is over, the next one exports everything once', async () => {
    const session = await sealedSession({ shards: 1 });
    const crashes = of('load').map(async (point) => {
      const target = await doubleTarget();
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
      const target = await doubleTarget();
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
