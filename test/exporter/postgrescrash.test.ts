import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { exitCodeOf, exitCodes } from '#exporter/outcome.ts';
import { inBatches, planOf, rowsOf } from '#test/conformance/sinkrows.ts';
import type { TestPostgres } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';
import { expectExported, exportOnce, postgresTarget, publishedRows, startExamServer } from './postgrestarget.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startExamServer();
}, 90_000);

test('after a crash of the server unlogged staging is empty: publishing says so, and the next attempt goes through', async () => {
  const target = await postgresTarget(server);
  const plan = planOf([60, 5]);
  const sink = target.open();
  await sink.prepare(plan);
  for (const { shard } of plan.witnesses) await sink.load(shard, inBatches(rowsOf(plan, shard)));
  await server.restart();
  const found = await sink.publish().catch((error: unknown) => error);
  expect(found).toMatchObject({ code: 'staging_differs', message: expect.stringContaining('has 0 rows') });
  expect(exitCodeOf(found)).toBe(exitCodes.tryAgain);
  const next = { ...plan, attempt: 2 };
  await exportOnce(target, next);
  // And what is published survives one.
  await server.restart();
  await expectExported(target, next);
});

test('promise 28: a server that crashes while it publishes: the publisher waits for it, and publishes once', async () => {
  const target = await postgresTarget(server);
  const plan = planOf([60]);
  const other = planOf([3]);
  await exportOnce(target, other);
  const sink = target.open();
  await sink.prepare(plan);
  await sink.load(0, inBatches(rowsOf(plan, 0)));
  // Somebody reads the table; the publisher waits for him.
  const reader = server.sql(
    `BEGIN; LOCK TABLE "${target.schema.replaceAll('"', '""')}"."EXAM_ANSWERS"; SELECT pg_sleep(60)`,
    'exams',
  );
  const ended = reader.catch((error: unknown) => error);
  const waiting = (who: string) =>
    server.sql(`SELECT pid FROM pg_stat_activity WHERE ${who}`).then(([row]) => row?.pid as number | undefined);
  await until(() => waiting(`query LIKE '%pg_sleep(60)' AND wait_event = 'PgSleep'`), { what: 'the reader' });
  const published = sink.publish();
  const settled = published.catch(() => undefined);
  const pid = await until(() => waiting(`application_name = 'untradex-exporter' AND wait_event_type = 'Lock'`), {
    what: 'the publisher to wait',
  });
  // First only its connection is ended, then the whole server.
  await server.sql(`SELECT pg_terminate_backend(${pid})`);
  await until(() => waiting(`application_name = 'untradex-exporter' AND wait_event_type = 'Lock' AND pid <> ${pid}`), {
    what: 'the publisher to try again',
  });
  await server.crash();
  expect(await ended).toBeInstanceOf(Error);
  // What was staged is gone with the server.
  await server.restart();
  await settled;
  expect(await published.catch((error: unknown) => error)).toMatchObject({ code: 'staging_differs' });
  expect(await publishedRows(target, plan.session.uid)).toBe(0);
  await exportOnce(target, { ...plan, attempt: 2 });
  await expectExported(target, { ...plan, attempt: 2 });
  await expectExported(target, other);
});

describe('staging', () => {
  async function staged() {
    const target = await postgresTarget(server);
    const plan = planOf([60]);
    const sink = target.open();
    await sink.prepare(plan);
    await sink.load(0, inBatches(rowsOf(plan, 0)));
    const name = `UNTRADEX_S_${plan.session.uid.replaceAll('-', '')}_1_0`;
    return { target, plan, sink, name };
  }

  test.each([
    [
      'a changed value',
      (name: string) => `UPDATE "${name}" SET "LATE" = NOT "LATE" WHERE "POSITION" = 7`,
      'is not what its loader wrote',
    ],
    [
      'a missing row',
      (name: string) => `DELETE FROM "${name}" WHERE "POSITION" = 59`,
      'has 59 rows, its loader wrote 60',
    ],
    ['no table', (name: string) => `DROP TABLE "${name}"`, 'is gone'],
  ])('with %s is not published', async (_what, change, says) => {
    const { target, sink, name, plan } = await staged();
    await target.admin(change(name));
    expect(await sink.publish().catch((error: unknown) => error)).toMatchObject({
      code: 'staging_differs',
      message: expect.stringContaining(says),
    });
    expect(await publishedRows(target, plan.session.uid)).toBe(0);
  });

  test('that was rewritten in another order is published in the order of the log', async () => {
    const { target, sink, name, plan } = await staged();
    await target.admin(`UPDATE "${name}" SET "LATE" = "LATE" WHERE "POSITION" % 7 = 3`);
    await sink.publish();
    await expectExported(target, plan);
    const [row] = await target.sql(
      `SELECT bool_and(before < "SEQ") AS ordered FROM (SELECT "SEQ", lag("SEQ", 1, 0) OVER (PARTITION BY "STUDENT" ORDER BY ctid) AS before FROM "EXAM_ANSWERS") x`,
    );
    expect(row).toEqual({ ordered: true });
  });

  test('of earlier attempts is dropped when a later one stages the same shard', async () => {
    const target = await postgresTarget(server);
    const plan = planOf([60], { session: { name: 'x', uid: randomUUID(), exam: 'x', rehearsal: false } });
    const tables = async () =>
      (
        await target.sql(
          `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND starts_with(tablename, 'UNTRADEX_S_') ORDER BY 1`,
        )
      ).map(({ tablename }) => String(tablename).split('_').slice(-2).join('_'));
    const stage = async (attempt: number) => {
      const sink = target.open();
      await sink.prepare({ ...plan, attempt });
      await sink.load(0, inBatches(rowsOf(plan, 0)));
      await sink.close();
    };
    await stage(1);
    expect(await tables()).toEqual(['1_0']);
    await stage(2);
    expect(await tables()).toEqual(['2_0']);
  });
});
