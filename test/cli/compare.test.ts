import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { compareLedger, isKept } from '#cli/compare.ts';
import { type Ledger, openLedger } from '#cli/ledger.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const session = 'c0ffee00-0000-4000-8000-000000000001';

interface Row {
  student: string;
  writer: string;
  seq: number;
  order: number;
  payload: string;
  session?: string;
}

const sha = (payload: string) => createHash('sha256').update(payload).digest('hex');
const payloadOf = (student: string, seq: number) => JSON.stringify({ student, seq, text: 'größer 🙂 第' });

/** What a faultless session left: 3 students with 4 answers each. */
function faultless(): Row[] {
  return ['anna', "o'neil", '李'].flatMap((student) =>
    [1, 2, 3, 4].map((seq) => ({
      student,
      writer: `w-${student.length}-aaaaaaaa`,
      seq,
      order: seq,
      payload: payloadOf(student, seq),
    })),
  );
}

async function makeTable(rows: readonly Row[]): Promise<string> {
  const path = join(tmpFolder('compare'), 'exams.duckdb');
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run(
    'create table EXAM_ANSWERS (SESSION_UID varchar, STUDENT varchar, ORDER_NO integer, WRITER varchar, SEQ integer, PAYLOAD varchar)',
  );
  const appender = await connection.createAppender('EXAM_ANSWERS');
  for (const row of rows) {
    appender.appendVarchar(row.session ?? session);
    appender.appendVarchar(row.student);
    appender.appendInteger(row.order);
    appender.appendVarchar(row.writer);
    appender.appendInteger(row.seq);
    appender.appendVarchar(row.payload);
    appender.endRow();
  }
  appender.closeSync();
  connection.closeSync();
  instance.closeSync();
  return path;
}

function makeLedger(rows: readonly Row[]): string {
  const path = join(tmpFolder('ledger'), 'ledger.ndjson');
  const ledger: Ledger = openLedger(path, 'fresh');
  for (const { student, writer, seq, payload } of rows) ledger.append({ student, writer, seq, sha256: sha(payload) });
  ledger.close();
  return path;
}

async function compare(acknowledged: readonly Row[], exported: readonly Row[], uniquePayloads = false) {
  const ledger = makeLedger(acknowledged);
  const database = await makeTable(exported);
  return compareLedger({ ledger, database, table: 'EXAM_ANSWERS', sessionUid: session, uniquePayloads });
}

const clean = { missing: 0, duplicated: 0, outOfOrder: 0, wrongBytes: 0, repeatedPayloads: 0, examples: [] };

test('a kept promise', async () => {
  const found = await compare(faultless(), faultless(), true);
  expect(found).toEqual({ acknowledged: 12, exported: 12, students: 3, ...clean });
  expect(isKept(found)).toBe(true);
});

test('more rows than acknowledgements are no fault: a reply was lost', async () => {
  expect(await compare(faultless().slice(0, -1), faultless())).toMatchObject({
    acknowledged: 11,
    exported: 12,
    ...clean,
  });
});

test("another session's rows in the same table do not count", async () => {
  const others = faultless().map((row) => ({ ...row, session: 'other', payload: '{}' }));
  expect(await compare(faultless(), [...others, ...faultless()])).toMatchObject({ exported: 12, ...clean });
});

describe('a planted fault is found', () => {
  test('missing, in the middle and at the end', async () => {
    const rows = faultless().filter(({ student, seq }) => !(student === '李' && seq === 4));
    const found = await compare(faultless(), rows);
    expect(found).toMatchObject({ missing: 1, duplicated: 0, outOfOrder: 0, wrongBytes: 0 });
    expect(found.examples).toEqual(['missing: student 李, writer w-1-aaaaaaaa, seq 4']);
    expect(isKept(found)).toBe(false);
  });

  test('twice', async () => {
    const [first] = faultless();
    const again = { ...first!, order: 5 };
    expect(await compare(faultless(), [...faultless(), again])).toMatchObject({ missing: 0, duplicated: 1 });
  });

  test('two answers that changed places', async () => {
    const rows = faultless();
    [rows[0]!.order, rows[1]!.order] = [2, 1];
    expect((await compare(faultless(), rows)).outOfOrder).toBeGreaterThan(0);
  });

  test('an order with a hole', async () => {
    const rows = faultless();
    rows[3]!.order = 7;
    expect(await compare(faultless(), rows)).toMatchObject({ outOfOrder: 1 });
  });

  test('other bytes', async () => {
    const rows = faultless();
    rows[5]!.payload = rows[5]!.payload.replace('größer', 'grösser');
    expect(await compare(faultless(), rows)).toMatchObject({ missing: 0, wrongBytes: 1 });
  });

  test('one answer under two numbers, when students never repeat themselves', async () => {
    const rows = faultless();
    rows[1]!.payload = rows[0]!.payload;
    const found = await compare([], rows, true);
    expect(found).toMatchObject({ repeatedPayloads: 1 });
    expect(isKept(found)).toBe(false);
  });
});

describe('what cannot be compared is refused', () => {
  test.each([
    ['a cut last line', '{"student":"anna","wri'],
    ['a line without sha256', '{"student":"anna","writer":"w-4-aaaaaaaa","seq":1}\n'],
    ['no JSON', 'student,writer\n'],
  ])('%s', async (_, text) => {
    const ledger = makeLedger(faultless());
    appendFileSync(ledger, text);
    const database = await makeTable(faultless());
    await expect(compareLedger({ ledger, database, table: 'EXAM_ANSWERS', sessionUid: session })).rejects.toMatchObject(
      { code: 'ledger_invalid' },
    );
  });

  test('no database', async () => {
    const options = {
      ledger: makeLedger([]),
      database: '/nowhere/x.duckdb',
      table: 'EXAM_ANSWERS',
      sessionUid: session,
    };
    await expect(compareLedger(options)).rejects.toMatchObject({ code: 'database_unreadable' });
  });
});
