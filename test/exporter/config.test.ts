import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planText } from '#exporter/attempt.ts';
import { readConfig } from '#exporter/config.ts';
import { isProblem } from '#queue/problem.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const witness = { shard: 0, lastId: '1-0', events: 3, digest: 'a'.repeat(40) };
const good = {
  session: { name: 'algebra', uid: 'c0ffee00-0000-4000-8000-000000000001', exam: 'Algebra I', rehearsal: false },
  attempt: 3,
  shards: [
    { host: 'h', port: 7000, username: 'exporter', passwordFile: 'exporter.password', tls: null, incarnation: 'i' },
  ],
  witnesses: [witness],
  root: 'b'.repeat(64),
  sink: { kind: 'duckdb', database: 'exams.duckdb', staging: '/data/export' },
  table: 'EXAM_ANSWERS',
  report: 'report.json',
};

function write(config: unknown): string {
  const folder = tmpFolder('config');
  writeFileSync(join(folder, 'exporter.password'), 'secret\n');
  const path = join(folder, 'plan.json');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return path;
}

/** The lines of the one Problem that says everything. */
function faultsOf(config: unknown): string[] {
  try {
    readConfig(write(config));
  } catch (error) {
    if (isProblem(error) && error.code === 'exporter_config_invalid') return error.message.split('\n').slice(1);
    throw error;
  }
  throw new Error('it was accepted');
}

test('reads what it needs, with defaults, and the password from its file', () => {
  const path = write(good);
  const config = readConfig(path);
  expect(config.shards).toEqual([
    {
      endpoint: { host: 'h', port: 7000, username: 'exporter', password: 'secret' },
      identity: { uid: good.session.uid, shard: 0, shards: 1, incarnation: 'i' },
    },
  ]);
  const database = join(path, '..', 'exams.duckdb');
  expect(config.plan).toMatchObject({ attempt: 3, table: 'EXAM_ANSWERS', batchRows: 5_000 });
  expect(config.target).toBe(`duckdb ${database}`);
  expect(config.sink).toMatchObject({ kind: 'duckdb', database, staging: '/data/export', memoryMb: 512 });
  expect(JSON.stringify(config.plan)).not.toContain('secret');
});

test('a rehearsal goes to a table of its own', () => {
  const config = readConfig(write({ ...good, session: { ...good.session, rehearsal: true } }));
  expect(config.plan.table).toBe('EXAM_ANSWERS_REHEARSAL');
});

test('takes a receipt key, and puts witnesses in the order of their shards', () => {
  const { publicKey } = generateReceiptKeys();
  const shards = [good.shards[0], { ...good.shards[0], port: 7001 }];
  const witnesses = [{ ...witness, shard: 1, events: 9 }, witness];
  const config = readConfig(write({ ...good, shards, witnesses, receiptPublicKey: publicKey }));
  expect(config.plan.witnesses.map(({ events }) => events)).toEqual([3, 9]);
  expect(config.receiptPublicKey).toBe(publicKey);
});

test('says everything that is wrong at once, by the name of its field', () => {
  const faults = faultsOf({
    ...good,
    session: { ...good.session, uid: 'algebra', exam: '' },
    attempt: 0,
    shards: [{ ...good.shards[0], passwordFile: 'nothing.password', port: 0 }, good.shards[0], good.shards[0]],
    witnesses: [
      { ...witness, lastId: 'x' },
      { ...witness, events: -1 },
      { ...witness, shard: 4, digest: 'z' },
    ],
    root: '',
    sink: { kind: 'duckdb', database: '', staging: '/data', memoryMb: 1, threads: 0, extra: 1 },
    table: 'EXAM"; DROP',
    batchRows: 1_000_000,
    receiptPublicKey: 7,
    unknown: true,
  });
  const fields = faults.map((line) => line.trim().split(': ')[0]);
  for (const field of [
    ...['session.uid', 'session.exam', 'attempt', 'shards.0.port', 'witnesses.0.lastId', 'witnesses.1.events'],
    ...['witnesses.2.digest', 'witnesses', 'root', 'sink.database', 'sink.memoryMb', 'sink.threads', 'table'],
    ...['batchRows', 'receiptPublicKey', 'config', 'sink'],
  ]) {
    expect(fields).toContain(field);
  }
  expect(faults.join('\n')).toContain('witnesses: shard 0 has 2, it needs one');
  expect(faults.join('\n')).toContain('witnesses: shard 1 has none, it needs one');
  expect(faults.join('\n')).toContain('witnesses: there is no shard 4');
});

test('says what is wrong with files next to what is wrong with fields', () => {
  const faults = faultsOf({
    ...good,
    table: '1',
    shards: [{ ...good.shards[0], passwordFile: 'gone', tls: { caFile: 'also-gone' } }],
  });
  expect(faults.map((line) => line.trim().split(': ')[0])).toEqual([
    'table',
    'shards.0.passwordFile',
    'shards.0.tls.caFile',
  ]);
});

test('refuses names of tables that are no identifiers, and the control table', () => {
  for (const table of [
    '',
    '1A',
    'A-B',
    'A B',
    'Ä',
    'A;',
    '"A"',
    'A'.repeat(101),
    'UNTRADEX_EXPORTS',
    'untradex_exports',
  ]) {
    expect(faultsOf({ ...good, table })).toEqual([expect.stringContaining('  table: ')]);
  }
});

test('what is no JSON, or no object, is said too', () => {
  expect(faultsOf('{')[0]).toContain('the file itself: ');
  expect(faultsOf(null)[0]).toContain('config: ');
  expect(() => readConfig('/nowhere/plan.json')).toThrow('the file itself: ENOENT');
});

test('a receipt key that is none is told without showing it', () => {
  const [fault] = faultsOf({ ...good, receiptPublicKey: 'not a key' });
  expect(fault).toContain('receiptPublicKey: ');
  expect(fault).not.toContain('not a key');
});

test('the plan of an attempt stays the same when its folder is moved as a whole', () => {
  const planIn = (folder: string) => {
    const sink = { kind: 'duckdb', database: `${folder}/exams.duckdb`, staging: `${folder}/export` };
    return planText(readConfig(write({ ...good, sink })).plan);
  };
  expect(planIn('/data/algebra')).toBe(planIn('/archive/2026/algebra'));
  const elsewhere = { kind: 'duckdb', database: '/data/other.duckdb', staging: '/data/algebra/export' };
  expect(planText(readConfig(write({ ...good, sink: elsewhere })).plan)).not.toBe(planIn('/data/algebra'));
});
