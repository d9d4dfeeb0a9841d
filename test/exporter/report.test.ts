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
    ...{ absent: ['ann', 'bob'], differences: [], more: false },
  },
  publishMs: 500,
  verifyMs: 1_000,
  startedAt: 3_200,
  endedAt: 5_000,
  rosterSize: 402,
  receiptPublicKey: publicKey,
  samples: '/data/samples.ndjson',
  sinkVersion: 'DuckDB v1',
};

test('says by shard and attempt what was sealed, staged, published and proved, and how fast', () => {
  expect(makeReport(facts)).toMatchObject({
    verified: true,
    target: 'duckdb /data/exams.duckdb',
    ...{ root, sealedRoot: root, rows: 100_000, students: 400, writers: 410, finished: 399, attempt: 2 },
    roster: { students: 402, absent: 2, first: ['ann', 'bob'] },
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
    receipts: { keyId: receiptKeyId(publicKey), publicKey },
    versions: { node: process.versions.node, sink: 'DuckDB v1' },
  });
});

test('what an earlier attempt published has no rate, and an attempt that staged nothing no staging', () => {
  const published = { ...facts.published, attempt: 1, already: true };
  const report = makeReport({
    ...facts,
    loaded: [],
    published,
    rosterSize: null,
    receiptPublicKey: null,
    samples: null,
  });
  expect(report).toMatchObject({ rowsPerSecond: { load: 0, publish: 0 }, roster: null, receipts: null });
  expect(report.shards.map(({ staged }) => staged)).toEqual([null, null]);
  expect(reportTable(report)).toContain('by attempt 1, found published');
});

test('the table of a terminal shows the same, and what differs', () => {
  const text = reportTable(makeReport(facts));
  for (const part of ['Algebra I', 'yes', root, '100,000', '402, 2 of them without an answer', '40,000', 'DuckDB v1']) {
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
  await writeReport(path, makeReport({ ...facts, rosterSize: null }));
  const digest = await writeReport(path, makeReport(facts));
  const text = readFileSync(path, 'utf8');
  expect(createHash('sha256').update(text).digest('hex')).toBe(digest);
  expect(JSON.parse(text)).toMatchObject({ format: 1, roster: { students: 402 } });
});

test('a roster is a list of ids, or of lists that begin with one', async () => {
  const path = join(tmpFolder('roster'), 'roster.json');
  writeFileSync(path, JSON.stringify(['ann', ['bob', 15], ['ann', 5]]));
  expect(await readRoster(path)).toEqual(['ann', 'bob']);
  writeFileSync(path, JSON.stringify({ ann: 1 }));
  await expect(readRoster(path)).rejects.toMatchObject({ code: 'roster_invalid' });
});
