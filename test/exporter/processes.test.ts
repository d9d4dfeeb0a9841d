import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { duckdbSql } from './duckdbtarget.ts';
import { loadAll, publish } from './job.ts';
import { outcomeOf, runExport, startLoad, startPublish } from './programs.ts';
import { sealedSession, studentNames } from './sealedsession.ts';

// Starting programs takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const count = async (database: string, table = 'EXAM_ANSWERS') =>
  Number((await duckdbSql(database, `SELECT count(*)::DOUBLE AS n FROM ${table}`))[0]?.n);

/** Waits until a program that was told to pause stands still. */
function untilPaused({ pid }: Program): Promise<unknown> {
  const state = () => execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  return until(() => state().startsWith('T'), { what: 'the exporter to stand still', timeoutMs: 30_000 });
}

test('a sealed session is loaded, published and proved by programs, which say so in lines of JSON', async () => {
  const session = await sealedSession({ shards: 2, writersPerStudent: 2 });
  const { exit, last, program } = await runExport(session.config(), 2);
  expect(exit.code).toBe(0);
  const { digest, ...result } = last;
  expect(result).toMatchObject({
    ...{ kind: 'result', ok: true, verified: true, already: false, attempt: 1 },
    ...{ rows: session.total, root: session.root, report: session.report },
  });
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  expect(program.stdout.trim().split('\n')).toHaveLength(program.lines.length);
  for (const line of program.lines.slice(0, -1)) {
    expect(line).toMatchObject({ kind: 'progress', rows: expect.any(Number), total: session.total });
  }
  const [control] = await duckdbSql(session.database, 'SELECT * FROM UNTRADEX_EXPORTS');
  expect(control).toMatchObject({ SESSION_UID: session.uid, ATTEMPT: 1, STATE: 'PUBLISHED', ROOT: session.root });
  expect(existsSync(`${session.database}.wal`)).toBe(false);
});

test('a rehearsal’s rows stand in a table of their own', async () => {
  const session = await sealedSession({ shards: 1, rehearsal: true });
  await loadAll(session.config());
  await publish(session.config());
  expect(await count(session.database, 'EXAM_ANSWERS_REHEARSAL')).toBe(session.total);
  await expect(count(session.database)).rejects.toThrow('does not exist');
});

test('promise 24: two sessions are published into one table of one database', async () => {
  const folder = tmpFolder('two');
  const [one, two] = [
    await sealedSession({ shards: 1, folder }),
    await sealedSession({ shards: 2, folder, rounds: 1 }),
  ];
  for (const session of [one, two]) {
    await loadAll(session.config());
    await publish(session.config());
  }
  expect(await count(one.database)).toBe(one.total + two.total);
  for (const session of [one, two]) expect(await publish(session.config())).toMatchObject({ already: true });
});

test('promise 23: of two loaders of one shard at once one stages it, the other is told to try a new attempt', async () => {
  const session = await sealedSession({ shards: 1, students: studentNames(100), rounds: 5, perRound: 10 });
  const outcomes = await Promise.all([1, 2].map(() => outcomeOf(startLoad(session.config(), 0))));
  const won = outcomes.filter(({ exit }) => exit.code === 0);
  expect(won.length).toBeGreaterThan(0);
  for (const { exit, last } of outcomes) {
    // The second may also have come when the first had finished.
    if (exit.code === 0) expect(last).toEqual(won[0]!.last);
    else expect([exit.code, last.code]).toEqual([75, 'staging_ambiguous']);
  }
  expect(await publish(session.config())).toMatchObject({ verified: true, rows: session.total });
});

test('promise 27: of two publishers at once one publishes, the other finds it or waits', {
  timeout: 30_000,
}, async () => {
  const session = await sealedSession({ shards: 2, students: studentNames(100), rounds: 5, perRound: 10 });
  await loadAll(session.config());
  const config = session.config(1, { sink: { lockWaitSeconds: 20 } });
  const outcomes = await Promise.all([1, 2].map(() => outcomeOf(startPublish(config))));
  expect(outcomes.map(({ exit }) => exit.code)).toEqual([0, 0]);
  expect(outcomes.map(({ last }) => last.already).sort()).toEqual([false, true]);
  expect(await count(session.database)).toBe(session.total);
});

test('promise 27: whoever has the database open is named, and waited for', async () => {
  const session = await sealedSession({ shards: 1 });
  await loadAll(session.config());
  await publish(session.config());
  const reader = join(session.folder, 'reader.mjs');
  const api = import.meta.resolve('@duckdb/node-api');
  writeFileSync(
    reader,
    `import { DuckDBInstance } from ${JSON.stringify(api)};
     const instance = await DuckDBInstance.create(${JSON.stringify(session.database)}, { access_mode: 'READ_ONLY' });
     const connection = await instance.connect();
     console.log(JSON.stringify({ open: true }));
     setInterval(() => connection, 1000);`,
  );
  const held = startProgram({ argv: [process.execPath, reader] });
  await held.line(({ open }) => open === true, 'the reader to have it open');
  const refused = await outcomeOf(startPublish(session.config(1, { sink: { lockWaitSeconds: 0.3 } })));
  expect([refused.exit.code, refused.last.code]).toEqual([75, 'database_locked']);
  expect(refused.last.message).toContain(`process ${held.pid} (`);
  expect(refused.last.remedy).toContain(`(pid ${held.pid})`);

  const waiting = startPublish(session.config(1, { sink: { lockWaitSeconds: 20 } }));
  await waiting.line(({ step }) => step === 'publish', 'the publisher to begin');
  held.kill();
  const done = await outcomeOf(waiting);
  expect(done.last).toMatchObject({ verified: true, already: true });
});

test('promise 23: a loader that stood still while others went on spoils nothing', async () => {
  const session = await sealedSession({ shards: 1 });
  const paused = startLoad(session.config(1), 0, { UNTRADEX_PAUSE_AT: 'load:half' });
  await untilPaused(paused);
  const second = await outcomeOf(startLoad(session.config(1), 0));
  expect([second.exit.code, second.last.code]).toEqual([75, 'staging_ambiguous']);
  await loadAll(session.config(2));
  await publish(session.config(2));
  paused.kill('SIGCONT');
  await outcomeOf(paused);
  expect(await publish(session.config(3))).toMatchObject({ verified: true, already: true, rows: session.total });
  expect(await count(session.database)).toBe(session.total);
});

test('promise 27: a publisher that stood still before its commit is waited for, and then found', async () => {
  const session = await sealedSession({ shards: 1 });
  await loadAll(session.config(1));
  const paused = startPublish(session.config(1), { UNTRADEX_PAUSE_AT: 'publish:before-commit' });
  await untilPaused(paused);
  await loadAll(session.config(2));
  const second = await outcomeOf(startPublish(session.config(2, { sink: { lockWaitSeconds: 0.3 } })));
  expect([second.exit.code, second.last.code]).toEqual([75, 'database_locked']);
  paused.kill('SIGCONT');
  expect((await outcomeOf(paused)).last).toMatchObject({ ok: true, already: false });
  expect(await publish(session.config(3))).toMatchObject({ verified: true, already: true, rows: session.total });
  expect(await count(session.database)).toBe(session.total);
});

test('ends cleanly when told to; the next attempt begins anew', async () => {
  const session = await sealedSession({ shards: 1 });
  for (const [signal, attempt] of [['SIGTERM', 1] as const, ['SIGINT', 2] as const]) {
    const load = startLoad(session.config(attempt), 0, { UNTRADEX_PAUSE_AT: 'load:half' });
    await untilPaused(load);
    load.kill(signal);
    load.kill('SIGCONT');
    const { exit, last } = await outcomeOf(load);
    expect([exit.code, last]).toEqual([75, expect.objectContaining({ kind: 'problem', code: 'interrupted' })]);
    const again = await outcomeOf(startLoad(session.config(attempt), 0));
    expect([again.exit.code, again.last.code]).toEqual([75, 'staging_ambiguous']);
  }
  await loadAll(session.config(3));
  // Rows that the earlier attempts had staged do not stay.
  const staging = join(session.folder, `export-${session.uid}`);
  for (const attempt of [1, 2]) {
    for (const name of ['shard-0.parquet', 'shard-0.parquet.part', 'spill-shard-0']) {
      expect(existsSync(join(staging, `attempt-${attempt}`, name))).toBe(false);
    }
  }
  const publishing = startPublish(session.config(3), { UNTRADEX_PAUSE_AT: 'publish:begun' });
  await untilPaused(publishing);
  publishing.kill('SIGTERM');
  publishing.kill('SIGCONT');
  const { exit, last } = await outcomeOf(publishing);
  expect([exit.code, last.code]).toEqual([75, 'interrupted']);
  expect(await publish(session.config(3))).toMatchObject({ verified: true, already: false, attempt: 3 });
});

test('says what is wrong with its arguments and its configuration, all at once, and ends with 1', async () => {
  const session = await sealedSession({ shards: 1, rounds: 1 });
  const broken = session.config(1, { table: 'x y', batchRows: 0, root: 'no' });
  const outcomes = await Promise.all([
    outcomeOf(startPublish(broken)),
    outcomeOf(startLoad(session.config(), 1)),
    outcomeOf(startLoad(join(session.folder, 'nothing.json'), 0)),
  ]);
  expect(outcomes.map(({ exit, last }) => [exit.code, last.kind, last.code])).toEqual([
    [1, 'problem', 'exporter_config_invalid'],
    [1, 'problem', 'usage'],
    [1, 'problem', 'exporter_config_invalid'],
  ]);
  for (const field of ['table: ', 'batchRows: ', 'root: ']) expect(outcomes[0]!.last.message).toContain(field);
});

test('a tampered table ends the publisher with 1, and the report says why', async () => {
  const session = await sealedSession({ shards: 1, rounds: 1 });
  await loadAll(session.config());
  await publish(session.config());
  await duckdbSql(
    session.database,
    `UPDATE EXAM_ANSWERS SET PAYLOAD = '"forged"' WHERE STUDENT = 'student-1' AND SEQ = 1`,
  );
  const { exit, last } = await outcomeOf(startPublish(session.config(2)));
  expect([exit.code, last.kind, last.code]).toEqual([1, 'problem', 'verify_failed']);
  expect(last.message).toContain('changed: student student-1, writer writer-0-of-it, seq 1: PAYLOAD has 8 bytes');
  expect(JSON.parse(readFileSync(session.report, 'utf8'))).toMatchObject({ verified: false, root: null });
});
