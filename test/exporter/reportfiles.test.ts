import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { reportPage } from '#exporter/report/page.ts';
import { reportPaths } from '#exporter/report/reportpaths.ts';
import type { Report } from '#exporter/report.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { loadAll, publish } from './job.ts';
import { outcomeOf, runExport, startLoad } from './programs.ts';
import { steady } from './reportfields.ts';
import { type SealedSession, sealedSession, studentNames } from './sealedsession.ts';

const absent = ['=cmd|evil', 'Zoë "Z" Müller', '<b>nobody</b>'];

let session: SealedSession;
let folder: string;
let inputs: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  session = await sealedSession({ rounds: 4 });
  folder = tmpFolder('report-inputs');
  const roster = join(folder, 'roster.json');
  writeFileSync(roster, JSON.stringify([...studentNames(11), [absent[0], 15], ...absent.slice(1)]));
  const samples = join(folder, 'samples.ndjson');
  const first = Math.min(...[...session.events.values()].flat().map(({ receivedAt }) => receivedAt));
  const lines = [0, 1, 2, 3_600].map((second) => ({
    at: new Date(first + second * 1_000).toISOString(),
    ...{ students: 12 - second, connections: 12 },
    ackMs: { p50: 2, p99: 9, count: 5 },
  }));
  writeFileSync(
    samples,
    lines.map((line) => JSON.stringify({ ...line, students: Math.max(0, line.students) })).join('\n'),
  );
  const receiptPublicKey = generateReceiptKeys().publicKey;
  inputs = { roster, samples, receiptPublicKey };
});

/** Exports into a target of its own. */
async function exportInto(name: string): Promise<{ report: Report; path: string; config: string }> {
  const path = join(folder, name, 'report.json');
  const sink = { database: join(folder, name, 'exams.duckdb'), staging: join(folder, name, 'staging') };
  const config = session.config(1, { ...inputs, report: path, sink });
  await loadAll(config);
  await publish(config);
  return { report: read(path), path, config };
}

function read(path: string): Report {
  return JSON.parse(readFileSync(path, 'utf8')) as Report;
}

test('tells of roster, samples, log and loaders, and puts page and list beside it', async () => {
  const { report, path } = await exportInto('one');
  const beside = reportPaths(path);
  expect(report).toMatchObject({
    verified: true,
    counts: { sealed: session.total, exported: session.total, missing: 0, twice: 0, outOfOrder: 0, other: 0 },
    roster: { students: 14, absent: 3, absentIds: absent, file: 'roster-missing.csv', unknown: 1 },
    attempts: [{ attempt: 1, shardsLoaded: 2, rowsLoaded: session.total, failures: [] }],
  });
  const perShard = report.timeline!.shards.map((numbers) => numbers.reduce((sum, number) => sum + number, 0));
  expect(perShard).toEqual(session.witnesses.map(({ events }) => events));
  expect(report.shards.map(({ staged }) => staged!.pace!.at(-1)![1])).toEqual(perShard);
  // The sample of an hour later is not of the exam.
  expect(report.samples).toMatchObject({ stepMs: 1_000, ackP50: [2, 2, 2] });
  const csv = readFileSync(beside.missing, 'utf8');
  expect(csv).toBe('student\r\n"=cmd|evil"\r\n"Zoë ""Z"" Müller"\r\n"<b>nobody</b>"\r\n');
  expect(createHash('sha256').update(csv).digest('hex')).toBe(report.roster!.fileSha256);
  const page = readFileSync(beside.page, 'utf8');
  expect(page).toBe(reportPage(report));
  expect(page).not.toContain('<b>nobody');
});

test('the same inputs give the same report, apart from what is marked so in its documentation', async () => {
  const [one, other] = [await exportInto('first'), await exportInto('other')];
  const same = (text: string) => text.replaceAll(dirname(other.path), dirname(one.path));
  const [a, b] = [one.report, JSON.parse(same(JSON.stringify(other.report))) as Report];
  expect(JSON.stringify(steady(b))).toBe(JSON.stringify(steady(a)));
  await publish(one.config);
  expect(JSON.stringify(steady(read(one.path)))).toBe(JSON.stringify(steady(a)));
});

test('tells of an attempt that was killed, and goes on without a diary', { timeout: 30_000 }, async () => {
  const path = join(folder, 'killed', 'report.json');
  const sink = { database: join(folder, 'killed', 'exams.duckdb'), staging: join(folder, 'killed', 'staging') };
  const config = (attempt: number, more = {}) => session.config(attempt, { ...inputs, report: path, sink, ...more });
  await outcomeOf(startLoad(config(1), 0));
  await outcomeOf(startLoad(config(1), 1, { UNTRADEX_CRASH_AT: 'load:half' }));
  expect((await runExport(config(2), 2)).exit.code).toBe(0);
  expect(read(path).attempts).toMatchObject([
    { attempt: 1, shardsLoaded: 1, failures: [{ shard: 1, code: null }] },
    { attempt: 2, shardsLoaded: 2, failures: [] },
  ]);
  const { diaries, missing } = reportPaths(path);
  rmSync(diaries, { recursive: true });
  writeFileSync(diaries, 'in the way');
  const result = await publish(config(2, { roster: null }));
  expect(result.verified).toBe(true);
  expect(read(path)).toMatchObject({
    roster: null,
    attempts: [{ attempt: 2 }],
    shards: [{ staged: { pace: null } }, {}],
  });
  expect(existsSync(missing)).toBe(false);
});
