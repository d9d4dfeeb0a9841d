import { expect, test } from 'vitest';
import { columns } from '#exporter/row.ts';
import {
  columnTypes,
  controlDdl,
  type DdlPlace,
  ddlScript,
  stagingDdl,
  targetDdl,
} from '#exporter/sinks/oracle/ddl.ts';
import { identifier, keyName, literal, stagingName } from '#exporter/sinks/oracle/names.ts';
import { type ColumnFacts, unfitColumns } from '#exporter/sinks/oracle/targetfit.ts';
import { lastMs, msOf } from '#exporter/sinks/oracle/time.ts';

const place: DdlPlace = {
  ...{ user: 'UNTRADEX', owner: 'UNTRADEX', table: 'EXAM_ANSWERS', tablespace: null },
  ...{ partition: 'None', targetLogging: 'Logging' },
};

test('the target has the columns of every target, those for times beyond its TIMESTAMPs, and the key', () => {
  expect(Object.keys(columnTypes)).toEqual([...columns, 'RECEIVED_MS', 'DURABLE_MS']);
  const ddl = targetDdl(place);
  for (const [name, type] of Object.entries(columnTypes)) expect(ddl).toContain(`"${name}" ${type}`);
  expect(ddl).toContain('CONSTRAINT "EXAM_ANSWERS_UK" UNIQUE ("SESSION_UID", "STUDENT", "WRITER", "SEQ")\n');
  expect(ddl).not.toContain('NOLOGGING');
  expect(targetDdl({ ...place, targetLogging: 'NoLogging' }).match(/NOLOGGING/g)).toHaveLength(2);
});

test('a table partitioned by exam keeps its key within the partitions', () => {
  const list = targetDdl({ ...place, partition: 'List' });
  expect(list).toContain('UNIQUE ("SESSION_UID", "STUDENT", "WRITER", "SEQ", "EXAM") USING INDEX LOCAL');
  expect(list).toContain('PARTITION BY LIST ("EXAM") AUTOMATIC');
  const interval = targetDdl({ ...place, partition: 'Interval' });
  expect(interval).toContain('UNIQUE ("SESSION_UID", "STUDENT", "WRITER", "SEQ")\n');
  expect(interval).toContain('PARTITION BY RANGE ("DURABLE_AT") INTERVAL');
});

test('staging has no index and logs nothing; everything goes where it is told', () => {
  const staging = stagingDdl('UNTRADEX', stagingName('c0ffee00-0000-4000-8000-000000000001', 2, 3), 'EXAM_DATA');
  expect(staging).toContain('CREATE TABLE "UNTRADEX"."UNTRADEX_S_C0FFEE00000040008000000000000001_2_3" (');
  expect(staging).not.toMatch(/KEY|UNIQUE|CONSTRAINT/);
  expect(staging).toContain(' NOLOGGING ');
  for (const one of [
    staging,
    ...controlDdl('UNTRADEX', 'EXAM_DATA'),
    targetDdl({ ...place, tablespace: 'EXAM_DATA' }),
  ]) {
    expect(one).toContain(' TABLESPACE "EXAM_DATA"');
  }
});

test('for a target of another owner the script says who runs what, with the grants', () => {
  const script = ddlScript({ ...place, owner: 'EXAMS', tablespace: 'EXAM_DATA' });
  expect(script.map(({ heading }) => heading.split(':')[0])).toEqual([
    'As an administrator',
    'As UNTRADEX',
    'As EXAMS',
  ]);
  const statements = script.flatMap((section) => section.statements);
  expect(statements).toContain('GRANT SELECT, INSERT ON "EXAMS"."EXAM_ANSWERS" TO "UNTRADEX"');
  expect(statements).toContain('ALTER USER "UNTRADEX" QUOTA UNLIMITED ON "EXAM_DATA"');
  expect(
    ddlScript(place)
      .flatMap((section) => section.statements)
      .join(),
  ).not.toContain('INSERT ON');
});

test('names fit and are quoted, literals too', () => {
  expect(stagingName('c0ffee00-0000-4000-8000-000000000001', 1_000_000_000, 1_023).length).toBeLessThanOrEqual(128);
  expect(keyName('A'.repeat(128))).toHaveLength(128);
  expect(literal("O'Brien")).toBe("'O''Brien'");
  expect(() => identifier('a"b')).toThrow();
});

const factsOf = (name: string, type: string): ColumnFacts => {
  const [, base, size] = /^(VARCHAR2|NUMBER)\((\d+)/.exec(type) ?? [null, type, null];
  const sizes = { bytes: base === 'VARCHAR2' ? Number(size) : 22, precision: base === 'NUMBER' ? Number(size) : null };
  return { name, type: base!, ...sizes, scale: 0, nullable: name.endsWith('_MS'), hasDefault: false };
};
const ours = Object.entries(columnTypes).map(([name, type]) => factsOf(name, type));
const changed = (name: string, change: Partial<ColumnFacts>) =>
  unfitColumns(ours.map((column) => (column.name === name ? { ...column, ...change } : column)));

test('a table of somebody else fits when its columns take the values, and every one that does not is named', () => {
  expect(unfitColumns(ours)).toEqual([]);
  expect(changed('RECEIVED_AT', { type: 'TIMESTAMP(6)' })).toEqual([]);
  expect(changed('SEQ', { precision: null, scale: null })).toEqual([]);
  expect(changed('PAYLOAD', { type: 'VARCHAR2', bytes: 32_767 })).toEqual([]);
  const extra = { ...factsOf('MARK', 'NUMBER(3)'), nullable: true };
  expect(unfitColumns([...ours, extra])).toEqual([]);
  expect(unfitColumns([...ours, { ...extra, nullable: false }])).toEqual(['MARK must allow nulls or have a default']);
  expect(unfitColumns([...ours, { ...extra, nullable: false, hasDefault: true }])).toEqual([]);
  expect(changed('RECEIVED_AT', { type: 'DATE' })).toEqual(['RECEIVED_AT must be TIMESTAMP(3), it is DATE NOT NULL']);
  expect(changed('PAYLOAD', { type: 'VARCHAR2', bytes: 4_000 })).toEqual([
    'PAYLOAD must be CLOB, it is VARCHAR2(4000 BYTE) NOT NULL',
  ]);
  expect(changed('RECEIVED_MS', { nullable: false })).toHaveLength(1);
  expect(unfitColumns(ours.filter(({ name }) => name !== 'SHARD'))).toEqual(['SHARD must be NUMBER(10)']);
});

test('times come back as text, to the ms, also those beyond the year 9999', () => {
  const text = (ms: number) => `${new Date(Math.min(ms, lastMs)).toISOString().slice(0, -1)}000000`;
  for (const ms of [0, 1, 1_761_438_600_123, 1_761_442_200_123, lastMs]) expect(msOf(text(ms))).toBe(ms);
  for (const ms of [lastMs + 1, 2 ** 48 - 1]) expect(msOf(text(ms), ms)).toBe(ms);
  // Somebody changed one of both.
  expect(msOf('2001-02-03T04:05:06.789000000', 2 ** 48 - 1)).toBe(981_173_106_789);
  expect(msOf('2001-02-03T04:05:06.789500000')).toBe(981_173_106_789.5);
  expect(msOf(null)).toBe(-1);
});
