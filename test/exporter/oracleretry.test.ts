import { describe, expect, test } from 'vitest';
import type { Row } from '#exporter/row.ts';
import { errorClasses } from '#exporter/sinks/oracle/errors.ts';
import { isProblem } from '#queue/problem.ts';
import { inBatches, planOf, rowsOf } from '#test/conformance/sinkrows.ts';
import type { Message } from '#test/support/oracle/faults.ts';
import { until } from '#test/support/until.ts';
import { type DoubleTarget, doubleTarget, expectExported, exportOnce, publishedRows } from './oracletarget.ts';

const codesOf = (title: string) => {
  const found = errorClasses.find((one) => one.title === title)!;
  const numbers = Object.keys(found.codes).flatMap((code) => (code.startsWith('ORA-') ? [Number(code.slice(4))] : []));
  return numbers.map((ora) => ({ ora, found }));
};
const isInsert = ({ sql = '' }: Message) => sql.startsWith('INSERT /*+ APPEND */');
const isFinish = ({ what }: Message) => what === 'finish';
const isPassword = ({ what }: Message) => what === 'password';

/** What a step of an export says when it meets an error. */
async function codeWith(target: DoubleTarget, patienceSeconds = 0): Promise<string> {
  const error = await exportOnce(target, planOf([9]), { patienceSeconds }).catch((reason: unknown) => reason);
  return isProblem(error) ? error.code : String(error);
}

describe('every code is told as the table says', () => {
  test.each([
    ['Not reachable', isPassword],
    ['Too many sessions', isPassword],
    ['Credentials', isPassword],
    ['Locks', isInsert],
    ['Space', isInsert],
    ['Privileges', isInsert],
    ['Rows that the table does not take', isInsert],
    ['After NOLOGGING and a restore', isInsert],
  ] as const)('%s', { timeout: 60_000 }, async (title, match) => {
    const target = await doubleTarget();
    for (const { ora, found } of codesOf(title)) {
      const struck = target.server.faults.add({ match, ora });
      expect([ora, await codeWith(target)]).toEqual([ora, found.code]);
      expect([ora, struck()]).toEqual([ora, 1]);
      target.server.faults.clear();
    }
    // Nothing of all that hinders the next attempt.
    const plan = planOf([9]);
    await exportOnce(target, plan);
    await expectExported(target, plan);
  });
});

describe('a wrong password', () => {
  test('is tried once: more would lock the account', async () => {
    const target = await doubleTarget();
    target.server.faults.add({ match: isPassword, ora: 1017, times: 100 });
    expect(await codeWith(target, 10)).toBe('database_refused');
    expect(target.server.log.filter(isPassword)).toHaveLength(1);
  });

  test('that expires soon is told, and the export goes on', async () => {
    const target = await doubleTarget({ facts: { loginWarning: 28_002 } });
    const plan = planOf([9]);
    await exportOnce(target, plan);
    await expectExported(target, plan);
    const sink = target.open();
    expect(await sink.version()).toContain('the password expires soon');
    await sink.close();
  });
});

describe('patience', () => {
  test('a server that is starting, or away, is waited for, and the step goes on', async () => {
    const target = await doubleTarget();
    const plan = planOf([9]);
    target.server.faults.add({ match: isPassword, ora: 1033, times: 2 });
    await exportOnce(target, plan);
    await expectExported(target, plan);
    const { database, port } = target.server;
    await target.server.stop();
    expect(await codeWith(target)).toBe('database_unreachable');
    const other = planOf([3]);
    const exported = exportOnce(target, other);
    const { startOracle } = await import('#test/support/oracle.ts');
    const again = await startOracle({ database, port });
    expect(await exported).toMatchObject({ rows: 3, already: false });
    await again.stop();
  });

  test('a locked table is waited for, without staging again', async () => {
    const target = await doubleTarget();
    const plan = planOf([9]);
    target.server.faults.add({
      match: ({ sql = '' }) => sql.startsWith('LOCK TABLE "UNTRADEX"."EXAM_ANSWERS"'),
      ora: 54,
      times: 2,
    });
    const sink = target.open();
    await sink.prepare(plan);
    await sink.load(0, inBatches(rowsOf(plan, 0)));
    expect(await sink.publish()).toMatchObject({ attempt: 1, retries: 2 });
    // The report counts them by code.
    expect(sink.retries?.()).toEqual([{ step: 'publish', code: 'ORA-00054', count: 2 }]);
    await sink.close();
    expect(target.server.log.filter(isFinish)).toHaveLength(1);
  });

  test('promise 28: a server that has not noticed the lost connection keeps the locks; its outcome is waited for', {
    timeout: 60_000,
  }, async () => {
    const target = await doubleTarget();
    const plan = planOf([9]);
    const struck = target.server.faults.add({ match: isInsert, when: 'after', drop: true, lingers: true });
    const exported = exportOnce(target, plan);
    const settled = exported.catch(() => undefined);
    await until(() => struck() === 1, { what: 'the connection to be lost', timeoutMs: 20_000 });
    const waits = () => target.server.log.filter(({ sql = '' }) => sql.includes('FOR UPDATE')).length > 2;
    await until(waits, { what: 'another look at the control row', timeoutMs: 20_000 });
    target.server.kill();
    await settled;
    expect(await exported).toMatchObject({ already: false, attempt: 1 });
    expect(await publishedRows(target, plan.session.uid)).toBe(9);
  });
});

describe('direct path', () => {
  test('is refused by the server: the rows go in by array INSERTs, and the report says so', async () => {
    const target = await doubleTarget();
    const plan = planOf([120]);
    target.server.faults.add({ match: ({ what }) => what === 'prepare', ora: 26_002, times: 100 });
    await exportOnce(target, plan);
    await expectExported(target, plan);
    const sink = target.open();
    await sink.prepare(plan);
    expect(await sink.loaded()).toMatchObject([{ rows: 120, loadedBy: 'Conventional' }]);
    await sink.close();
    expect(target.server.log.filter(({ what }) => what === 'prepare')).toHaveLength(1);
  });

  test('conventional from the start takes long payloads of every kind too', async () => {
    const target = await doubleTarget();
    const plan = planOf([60]);
    const texts = [
      `"${'x'.repeat(16_382)}"`,
      `"${'é'.repeat(2_000)}"`,
      `"${'\u{1f9a4}'.repeat(4_095)}"`,
      `"${'y'.repeat(3_998)}"`,
    ];
    const payload = (_: Row, i: number) => ({ payload: Buffer.from(texts[i % texts.length]!) });
    const changes = { loading: 'Conventional' } as const;
    const sink = target.open('', changes);
    await sink.prepare(plan);
    await sink.load(0, inBatches(rowsOf(plan, 0, payload)));
    expect(await sink.publish()).toMatchObject({ rows: 60 });
    const read: Row[] = [];
    for await (const batch of sink.readBack()) read.push(...batch);
    const expected = rowsOf(plan, 0, payload).map((row) => row.payload.toString());
    expect(read.map((row) => row.payload.toString()).sort()).toEqual(expected.sort());
    await sink.close();
    expect(target.server.log.some(({ what }) => what === 'prepare')).toBe(false);
  });

  test('that fails on a row names student, writer and seq, never the answer', async () => {
    const target = await doubleTarget();
    const plan = planOf([9]);
    const sink = target.open();
    await sink.prepare(plan);
    // No event is such: a defect on the way.
    const bad = rowsOf(plan, 0, (_, i) => (i === 5 ? { orderNo: 10 ** 12, payload: Buffer.from('"secret"') } : {}));
    const error = await sink.load(0, inBatches(bad)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'target_unfit',
      message: expect.stringContaining('student student-0-2, writer writer-2, seq 2): ORA-01438'),
    });
    expect(String(error)).not.toContain('secret');
    await sink.close();
  });

  test('that finds no room ends the attempt, and says what gives it some', async () => {
    const target = await doubleTarget();
    const message = 'unable to extend table UNTRADEX.X by 128 in tablespace USERS';
    target.server.faults.add({ match: ({ what }) => what === 'load', ora: 1653, message });
    const error = await exportOnce(target, planOf([9])).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'sink_full',
      message: expect.stringContaining(`loading shard 0: ORA-01653: ${message}`),
      remedy: expect.stringContaining('ALTER TABLESPACE "USERS" ADD DATAFILE'),
    });
    // Nothing is tried again in it, and the server lets go of what came.
    expect(target.server.log.filter(({ what }) => what === 'load' || what === 'abort')).toHaveLength(2);
  });

  test('whose reply is lost ends the attempt, whether the rows are there or not', async () => {
    for (const when of ['before', 'after'] as const) {
      const target = await doubleTarget();
      target.server.faults.add({ match: isFinish, when, drop: true });
      expect(await codeWith(target, 10)).toBe('database_unreachable');
      expect(target.server.log.filter(isFinish)).toHaveLength(1);
    }
  });
});

test('a process that is told to end lets go at once of a server that does not answer', async () => {
  const target = await doubleTarget();
  const plan = planOf([9]);
  const stop = new AbortController();
  const { createOracleSink } = await import('#exporter/sinks/oracle/sink.ts');
  const sink = createOracleSink(target.settings, stop.signal);
  await sink.prepare(plan);
  target.server.faults.add({ match: isFinish, stall: true });
  const loading = sink.load(0, inBatches(rowsOf(plan, 0))).catch((reason: unknown) => reason);
  await until(() => target.server.log.some(isFinish), { what: 'the load' });
  stop.abort(new Error('told to end'));
  expect(await loading).toBeInstanceOf(Error);
  await sink.close();
  await until(() => target.server.connections() === 0, { what: 'the connection to end' });
});

test('statistics are gathered, staging is dropped', async () => {
  const target = await doubleTarget();
  const plan = planOf([9]);
  await exportOnce(target, plan);
  const sink = target.open();
  await sink.prepare(plan);
  await sink.tidy?.();
  await sink.tidy?.();
  await sink.close();
  const tables = await target.sql(`SELECT TABLE_NAME AS "name", NUM_ROWS AS "rows" FROM USER_TABLES ORDER BY 1`);
  expect(tables.map(({ name }) => name)).toEqual([
    'EXAM_ANSWERS',
    'UNTRADEX_ATTEMPTS',
    'UNTRADEX_EXPORTS',
    'UNTRADEX_STAGING',
  ]);
  expect(tables[0]).toMatchObject({ rows: 9 });
});
