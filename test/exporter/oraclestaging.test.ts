import { expect, test } from 'vitest';
import { inBatches, planOf, rowsOf } from '#test/conformance/sinkrows.ts';
import { doubleTarget, expectExported, publishedRows } from './oracletarget.ts';

async function staged() {
  const target = await doubleTarget();
  const plan = planOf([60]);
  const sink = target.open();
  await sink.prepare(plan);
  await sink.load(0, inBatches(rowsOf(plan, 0)));
  return { target, plan, sink, name: `UNTRADEX_S_${plan.session.uid.replaceAll('-', '').toUpperCase()}_1_0` };
}

test.each([
  [
    'a changed value',
    (name: string) => `UPDATE "${name}" SET "LATE" = 1 - "LATE" WHERE "POSITION" = 7`,
    'is not what its loader wrote',
  ],
  [
    'a changed payload',
    (name: string) => `UPDATE "${name}" SET "PAYLOAD" = REPLACE("PAYLOAD", '7', '8') WHERE "POSITION" = 7`,
    'is not what its loader wrote',
  ],
  [
    'a missing row',
    (name: string) => `DELETE FROM "${name}" WHERE "POSITION" = 59`,
    'has 59 rows, its loader wrote 60',
  ],
  ['no table', (name: string) => `DROP TABLE "${name}" PURGE`, 'is gone'],
])('staging with %s is not published', async (_what, change, says) => {
  const { target, plan, sink, name } = await staged();
  await target.sql(change(name));
  const error = await sink.publish().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'staging_differs', message: expect.stringContaining(says) });
  expect(await publishedRows(target, plan.session.uid)).toBe(0);
});

test('staging that was rewritten in another order is published all the same', async () => {
  const { target, plan, sink, name } = await staged();
  await target.sql(`UPDATE "${name}" SET "LATE" = "LATE" WHERE MOD("POSITION", 7) = 3`);
  await sink.publish();
  await expectExported(target, plan);
});

test('staging of earlier attempts is dropped when a later one stages the same shard', async () => {
  const target = await doubleTarget();
  const plan = planOf([60]);
  const stage = async (attempt: number) => {
    const sink = target.open();
    await sink.prepare({ ...plan, attempt });
    await sink.load(0, inBatches(rowsOf(plan, 0)));
    await sink.close();
    const tables = await target.sql('SELECT TABLE_NAME AS "name" FROM USER_TABLES');
    const names = tables.map((row) => String(row.name)).filter((name) => name.startsWith('UNTRADEX_S_'));
    return names.map((name) => name.split('_').slice(-2).join('_'));
  };
  expect(await stage(1)).toEqual(['1_0']);
  expect(await stage(2)).toEqual(['2_0']);
});
