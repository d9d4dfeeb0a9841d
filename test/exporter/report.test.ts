import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeReport, type ReportFacts, writeReport } from '#exporter/report.ts';
import { reportTable } from '#exporter/reporttable.ts';
import { readRoster } from '#exporter/roster.ts';
import { generateReceiptKeys, receiptKeyId } from '#queue/receipt.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const { publicKey } = generateReceiptKeys();
const root = 'c'.repeat(64);

const facts: ReportFacts = {
  plan: {
    session: { name: 'algebra', uid: 'c0ffee00-0000-4000-8000-000000000001', exam: 'Algebra I', rehearsal: false },
    attempt: 2,
    target: 'duckdb ../exams.duckdb',
    table: 'EXAM_ANSWERS',
    batchRows: 5_000,
    witnesses: [
      { shard: 0, lastId: '10-0', events: 60_000, digest: 'a'.repeat(40) },
      { shard: 1, lastId: '11-0', events: 40_000, digest: 'b'.repeat(40) },
    ],
    root,
  },
  target: 'duckdb /data/exams.duckdb',
  loaded: [
    { shard: 0, attempt: 2, rows: 60_000, bytes: 1_234, digest: 'd'.repeat(64), startedAt: 1_000, endedAt: 2_500 },
    { shard: 1, attempt: 2, rows: 40_000, bytes: 567, digest: 'e'.repeat(64), startedAt: 1_500, endedAt: 3_000 },
  ],
  published: {
    ...{ attempt: 2, table: 'EXAM_ANSWERS', rows: 100_000, digest: 'f'.repeat(64), publishedAt: 4_000 },
    ...{ already: false, retries: 3 },
  },
  verification: {
    ...{ verified: true, rows: 100_000, students: 400, writers: 410, finished: 399, root },
    ...{ absent: ['ann', 'bob'], unknown: ['mallory'], differences: [], more: false },
  },
  publishMs: 500,
  verifyMs: 1_000,
  startedAt: 3_200,
  endedAt: 5_000,
  roster: { students: 402, file: 'roster-missing.csv', fileSha256: '0'.repeat(64) },
  receiptPublicKey: publicKey,
  timeline: null,
  samples: null,
  diaries: [],
  retries: [{ step: 'publish', code: '55P03', count: 3 }],
  sinkVersion: 'DuckDB v1',
};

test('says by shard and attempt what was sealed, staged, published and proved, and how fast', () => {
  expect(makeReport(facts)).toMatchObject({
    verified: true,
    target: 'duckdb /data/exams.duckdb',
    ...{ root, sealedRoot: root, rows: 100_000, students: 400, writers: 410, finished: 399, attempt: 2 },
    counts: { sealed: 100_000, exported: 100_000, missing: 0, twice: 0, outOfOrder: 0, other: 0, atLeast: false },
    roster: { students: 402, absent: 2, absentIds: ['ann', 'bob'], unknown: 1, unknownIds: ['mallory'] },
    notes: [{ code: 'unknown_students' }],
    retries: [{ step: 'publish', code: '55P03', count: 3 }],
    attempts: [{ attempt: 2, shardsLoaded: 2, rowsLoaded: 100_000, failures: [] }],
    shards: [
      {
        shard: 0,
        events: 60_000,
        logDigest: 'a'.repeat(40),
        staged: { rows: 60_000, ms: 1_500, rowsPerSecond: 40_000 },
      },
      { shard: 1, events: 40_000, lastId: '11-0', staged: { bytes: 567, digest: 'e'.repeat(64) } },
    ],
    published: { retries: 3, publishedAt: '1970-01-01T00:00:04.000Z', already: false },
    rowsPerSecond: { load: 50_000, publish: 200_000, verify: 100_000 },
    ms: { load: 2_000, publish: 500, verify: 1_000 },
    ...{ startedAt: '1970-01-01T00:00:01.000Z', endedAt: '1970-01-01T00:00:05.000Z' },
    receipts: { algorithm: 'Ed25519', keyId: receiptKeyId(publicKey), publicKey },
    versions: { node: process.versions.node, sink: 'DuckDB v1' },
  });
});

test('what an earlier attempt published has no rate, and an attempt that staged nothing no staging', () => {
  const published = { ...facts.published, attempt: 1, already: true };
  const report = makeReport({
    ...facts,
    loaded: [],
    published,
    roster: null,
    receiptPublicKey: null,
  });
  expect(report).toMatchObject({ rowsPerSecond: { load: 0, publish: 0 }, roster: null, receipts: null });
  expect(report.shards.map(({ staged }) => staged)).toEqual([null, null]);
  expect(reportTable(report)).toContain('by attempt 1, found published');
});

test('names at most 1,000 students who are absent: the list beside the report has all of them', () => {
  const many = Array.from({ length: 1_001 }, (_, i) => `student-${i}`);
  const verification = { ...facts.verification, absent: many, unknown: many.slice(1) };
  const { roster } = makeReport({ ...facts, verification });
  expect(roster).toMatchObject({ absent: 1_001, absentIds: null, file: 'roster-missing.csv', unknown: 1_000 });
  expect(roster!.unknownIds).toHaveLength(1_000);
});

test('tells of earlier attempts how they ended, and what was tried again by code', () => {
  const session = facts.plan.session.uid;
  const entry = { session, startedAt: 100, endedAt: 200, rows: 5, code: null, retries: [], pace: [] };
  const refused = [{ step: 'connect', code: 'ECONNREFUSED', count: 2 }];
  const diaries = [
    { ...entry, attempt: 1, shard: 0, retries: refused },
    { ...entry, attempt: 1, shard: 1, endedAt: null, rows: 3 },
    { ...entry, attempt: 1, shard: null, code: 'sink_full', endedAt: 300 },
    { ...entry, attempt: 2, shard: 0, retries: refused, pace: [[100, 5] as [number, number]] },
  ];
  const report = makeReport({ ...facts, diaries });
  expect(report.attempts).toMatchObject([
    {
      ...{ attempt: 1, startedAt: '1970-01-01T00:00:00.100Z', endedAt: '1970-01-01T00:00:00.300Z' },
      ...{ shardsLoaded: 1, rowsLoaded: 8, retries: refused },
      failures: [
        { shard: 1, code: null },
        { shard: null, code: 'sink_full' },
      ],
    },
    { attempt: 2, failures: [] },
  ]);
  expect(report.retries).toEqual([...refused, ...facts.retries]);
  expect(report.shards.map(({ staged }) => staged?.pace)).toEqual([[[100, 5]], null]);
});

test('says so when somebody must back the target up, or rows went in the slow way', () => {
  const loaded = facts.loaded.map((one) => ({ ...one, loadedBy: 'Conventional' as const }));
  const report = makeReport({ ...facts, loaded, published: { ...facts.published, backupNeeded: true } });
  expect(report.notes.map(({ code }) => code)).toEqual(['backup_needed', 'loaded_conventionally', 'unknown_students']);
});

test('the table of a terminal shows the same, and what differs', () => {
  const text = reportTable(makeReport(facts));
  for (const part of [
    'Algebra I',
    'yes',
    root,
    '100,000',
    '402, 2 of them without an answer',
    '40,000',
    'DuckDB v1',
    'publish: 55P03 3 times',
    'note: 1 student has answers',
  ]) {
    expect(text).toContain(part);
  }
  const difference = { kind: 'missing', student: 'ann', writer: 'w', seq: 1, text: 'student ann, gone' } as const;
  const verification = { ...facts.verification, verified: false, root: null, differences: [difference], more: true };
  const failed = reportTable(makeReport({ ...facts, verification }));
  expect(failed).toContain('NO');
  expect(failed).toMatch(/missing: student ann, gone\nand more$/);
});

test('is written whole, over an earlier one, and its digest is that of the file', async () => {
  const path = join(tmpFolder('report'), 'deeper', 'report.json');
  await writeReport(path, makeReport({ ...facts, roster: null }));
  const digest = await writeReport(path, makeReport(facts));
  const text = readFileSync(path, 'utf8');
  expect(createHash('sha256').update(text).digest('hex')).toBe(digest);
  expect(JSON.parse(text)).toMatchObject({ format: 2, roster: { students: 402 } });
});

test('a roster is a list of ids, or of lists that begin with one', async () => {
  const path = join(tmpFolder('roster'), 'roster.json');
  writeFileSync(path, JSON.stringify(['ann', ['bob', 15], ['ann', 5]]));
  expect(await readRoster(path)).toEqual(['ann', 'bob']);
  writeFileSync(path, JSON.stringify({ ann: 1 }));
  await expect(readRoster(path)).rejects.toMatchObject({ code: 'roster_invalid' });
});
