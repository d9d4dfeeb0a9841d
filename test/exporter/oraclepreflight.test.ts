import { describe, expect, test } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import { type DdlPlace, ddlScript, targetDdl } from '#exporter/sinks/oracle/ddl.ts';
import { backupNeeded, faultsOf, type ServerFacts } from '#exporter/sinks/oracle/preflight.ts';
import { isProblem, type Problem } from '#queue/problem.ts';
import { planOf } from '#test/conformance/sinkrows.ts';
import { type DoubleTarget, doubleTarget, expectExported, exportOnce } from './oracletarget.ts';

const place: DdlPlace = {
  ...{ user: 'UNTRADEX', owner: 'UNTRADEX', table: 'EXAM_ANSWERS', tablespace: null },
  ...{ partition: 'None', targetLogging: 'Logging' },
};
const good: ServerFacts = {
  ...{ version: 1_903_000_000, versionText: '19.3.0.0.0', user: 'UNTRADEX', characterSet: 'AL32UTF8' },
  ...{ nationalCharacterSet: 'AL16UTF16', database: null, privileges: ['CREATE SESSION', 'CREATE TABLE'] },
  ...{ tablespace: 'USERS', tablespaceFacts: { status: 'ONLINE', forceLogging: false } },
  ...{ quota: { used: 0, most: null }, target: null },
};
const elsewhere: DdlPlace = { ...place, owner: 'EXAMS' };

async function problemOf(work: Promise<unknown>): Promise<Problem> {
  const error = await work.catch((reason: unknown) => reason);
  if (isProblem(error)) return error;
  throw new Error('no Problem', { cause: error });
}

async function prepare(target: DoubleTarget, plan: AttemptPlan, changes = {}): Promise<void> {
  const sink = target.open('', changes);
  try {
    await sink.prepare(plan);
  } finally {
    await sink.close();
  }
}

describe('what is missing', () => {
  test('nothing, of a server that is as it must be', () => {
    expect(faultsOf(good, place)).toEqual([]);
    expect(faultsOf({ ...good, quota: { used: 5, most: 10 } }, place)).toEqual([]);
    expect(faultsOf({ ...good, quota: null, privileges: [...good.privileges, 'UNLIMITED TABLESPACE'] }, place)).toEqual(
      [],
    );
    expect(faultsOf({ ...good, target: { owner: 'EXAMS', granted: ['SELECT', 'INSERT'] } }, elsewhere)).toEqual([]);
    const any = ['CREATE TABLE', 'SELECT ANY TABLE', 'INSERT ANY TABLE'];
    expect(faultsOf({ ...good, privileges: any, target: { owner: 'EXAMS', granted: [] } }, elsewhere)).toEqual([]);
  });

  test.each<[Partial<ServerFacts>, DdlPlace, string, string | null]>([
    [{ version: 1_201_000_200, versionText: '12.1.0.2.0' }, place, 'Oracle 12.1.0.2.0 is older than 12.2', null],
    [{ characterSet: 'WE8ISO8859P1' }, place, 'the character set WE8ISO8859P1', null],
    [{ nationalCharacterSet: 'UTF8' }, place, 'the national character set UTF8', null],
    [{ privileges: [] }, place, 'UNTRADEX lacks CREATE TABLE', 'GRANT CREATE TABLE TO "UNTRADEX";'],
    [{ quota: null }, place, 'no quota on the tablespace USERS', 'ALTER USER "UNTRADEX" QUOTA UNLIMITED ON "USERS";'],
    [
      { quota: { used: 7, most: 7 } },
      place,
      'used up its quota of 7 bytes',
      'ALTER USER "UNTRADEX" QUOTA UNLIMITED ON "USERS";',
    ],
    [
      { tablespaceFacts: { status: 'READ ONLY', forceLogging: false } },
      ...([place, 'USERS is READ ONLY', 'ALTER TABLESPACE "USERS" READ WRITE;'] as const),
    ],
    [
      {},
      elsewhere,
      'there is no table EXAMS.EXAM_ANSWERS',
      'GRANT SELECT, INSERT ON "EXAMS"."EXAM_ANSWERS" TO "UNTRADEX";',
    ],
    [
      { target: { owner: 'EXAMS', granted: ['SELECT'] } },
      ...([
        elsewhere,
        'UNTRADEX lacks INSERT on the table',
        'GRANT INSERT ON "EXAMS"."EXAM_ANSWERS" TO "UNTRADEX";',
      ] as const),
    ],
  ])('%o', (change, where, what, sql) => {
    const [fault, ...others] = faultsOf({ ...good, ...change }, where);
    expect(others).toEqual([]);
    expect(fault!.what).toContain(what);
    if (sql === null) expect(fault!.sql).toBeNull();
    else expect(fault!.sql).toContain(sql);
  });

  test('is said at once, with the SQL that mends it, before anything is written', async () => {
    const facts = { characterSet: 'WE8ISO8859P1', privileges: ['CREATE SESSION'], quotas: {} };
    const target = await doubleTarget({ facts });
    const { code, message, remedy } = await problemOf(prepare(target, planOf([3]), { schema: 'EXAMS' }));
    expect(code).toBe('database_unprepared');
    for (const what of ['WE8ISO8859P1', 'lacks CREATE TABLE', 'no quota', 'there is no table EXAMS.EXAM_ANSWERS']) {
      expect(message).toContain(what);
    }
    for (const sql of ['GRANT CREATE TABLE', 'QUOTA UNLIMITED', 'CREATE TABLE "EXAMS"', 'GRANT SELECT, INSERT']) {
      expect(remedy).toContain(sql);
    }
    expect(await target.sql('SELECT TABLE_NAME FROM USER_TABLES')).toEqual([]);
  });
});

describe('a backup', () => {
  const database = (forceLogging: boolean, archiving = true) => ({ forceLogging, archiving });
  test.each([
    [
      'of a table that logs is not asked for',
      { logging: true, database: database(false), tablespaceForced: false },
      false,
    ],
    ['of a table that does not is', { logging: false, database: database(false), tablespaceForced: false }, true],
    [
      'is not, where the database forces logging',
      { logging: false, database: database(true), tablespaceForced: false },
      false,
    ],
    ['is not, where the tablespace forces it', { logging: false, database: null, tablespaceForced: true }, false],
    ['is, where nobody knows', { logging: null, database: null, tablespaceForced: false }, true],
    ['is, where nothing is archived', { logging: true, database: database(true, false), tablespaceForced: true }, true],
  ])('%s', (_what, facts, needed) => {
    expect(backupNeeded(facts)).toBe(needed);
  });

  test('is asked for after NOLOGGING, and by whoever finds the session published; FORCE LOGGING is told', async () => {
    const target = await doubleTarget();
    const plan = planOf([9]);
    const changes = { targetLogging: 'NoLogging' } as const;
    expect(await exportOnce(target, plan, changes)).toMatchObject({ already: false, backupNeeded: true });
    expect(await exportOnce(target, plan, changes)).toMatchObject({ already: true, backupNeeded: true });
    const forced = await doubleTarget({ facts: { forceLogging: true } });
    expect(await exportOnce(forced, plan, changes)).toMatchObject({ already: false, backupNeeded: false });
    const sink = forced.open();
    expect(await sink.version()).toBe('Oracle Database 19.3.0.0.0, FORCE LOGGING');
    await sink.close();
  });
});

describe('tables that an administrator made', () => {
  test('with the script of `untradex ddl oracle`, for another owner, take a session', async () => {
    const granted = ['EXAMS EXAM_ANSWERS SELECT', 'EXAMS EXAM_ANSWERS INSERT'];
    const target = await doubleTarget({ users: { EXAMS: 'x' }, facts: { tablePrivileges: granted } });
    const statements = ddlScript({ ...elsewhere, partition: 'List' })
      .slice(1)
      .flatMap((part) => part.statements);
    for (const statement of statements) await target.sql(statement);
    const plan = planOf([30, 7]);
    const changes = { schema: 'EXAMS' };
    expect(await exportOnce(target, plan, changes)).toMatchObject({ rows: 37, already: false });
    expect(await target.sql('SELECT COUNT(*) AS "N" FROM "EXAMS"."EXAM_ANSWERS"')).toEqual([{ N: 37 }]);
    const sink = target.open('', changes);
    await sink.prepare(plan);
    await sink.tidy?.();
    await sink.close();
  });

  test('with an unusable index are left alone, and the statement that mends it is told', async () => {
    const target = await doubleTarget();
    await target.sql(targetDdl(place));
    // As a direct path load of somebody else leaves it.
    const table = target.server.database.tables.get('UNTRADEX.EXAM_ANSWERS')!;
    (table.indexes[0] as { usable: boolean }).usable = false;
    const plan = planOf([9]);
    const { code, message } = await problemOf(exportOnce(target, plan));
    expect(code).toBe('target_unfit');
    expect(message).toContain('ALTER INDEX "UNTRADEX"."EXAM_ANSWERS_UK" REBUILD');
    await target.sql('ALTER INDEX "EXAM_ANSWERS_UK" REBUILD');
    await exportOnce(target, { ...plan, attempt: 2 });
    await expectExported(target, { ...plan, attempt: 2 });
  });
});
