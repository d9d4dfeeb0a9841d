import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planText } from '#exporter/attempt.ts';
import { readConfig } from '#exporter/config.ts';
import { isProblem } from '#queue/problem.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const server = {
  kind: 'oracle',
  connectString: 'db.example.edu:1521/EXAMS',
  user: 'untradex',
  passwordFile: 'password',
};

function write(sink: object, changes: object = {}): string {
  const folder = tmpFolder('config');
  const files = {
    password: 'secret\n',
    'ca.pem': 'CA',
    'tls.crt': 'CERT',
    'tls.key': 'KEY',
    'ewallet.pem': 'WALLET',
    empty: '\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const config = {
    session: { name: 'algebra', uid: 'c0ffee00-0000-4000-8000-000000000001', exam: 'Algebra I' },
    attempt: 1,
    shards: [{ host: 'h', port: 7000, incarnation: 'i' }],
    witnesses: [{ shard: 0, lastId: '1-0', events: 3, digest: 'a'.repeat(40) }],
    root: 'b'.repeat(64),
    sink,
    table: 'EXAM_ANSWERS',
    report: 'report.json',
    ...changes,
  };
  const path = join(folder, 'plan.json');
  writeFileSync(path, JSON.stringify(config));
  return path;
}

function faultsOf(sink: object, changes: object = {}): string[] {
  try {
    readConfig(write(sink, changes));
  } catch (error) {
    if (isProblem(error) && error.code === 'exporter_config_invalid') return error.message.split('\n').slice(1);
    throw error;
  }
  throw new Error('it was accepted');
}

const tlsOf = (tls: object) => (readConfig(write({ ...server, tls })).sink as unknown as { tls: object }).tls;

test('reads the server and the files that it names; the plan holds neither user nor password', () => {
  const config = readConfig(write({ ...server, schema: 'exams', tablespace: 'exam_data' }));
  expect(config.sink).toEqual({
    ...{ kind: 'oracle', connectString: 'db.example.edu:1521/EXAMS', user: 'untradex', password: 'secret' },
    // As Oracle takes names without quotes.
    ...{ schema: 'EXAMS', tablespace: 'EXAM_DATA', partition: 'None', targetLogging: 'Logging', loading: 'DirectPath' },
    ...{ tls: { wallet: null, walletPassword: null, ca: null, serverDn: null }, patienceSeconds: 60 },
  });
  expect(config.target).toBe('oracle db.example.edu:1521/EXAMS schema EXAMS');
  for (const word of ['secret', 'untradex']) expect(planText(config.plan)).not.toContain(word);
});

test('a wallet, or certificates one by one or as a Secret has them, become what the driver takes', () => {
  expect(tlsOf({ walletFile: 'ewallet.pem', walletPasswordFile: 'password', serverDn: 'CN=db' })).toEqual({
    ...{ wallet: 'WALLET', walletPassword: 'secret', ca: null, serverDn: 'CN=db' },
  });
  expect(tlsOf({ caFile: 'ca.pem' })).toMatchObject({ wallet: null, ca: 'CA' });
  // Our own certificate first: the driver takes the first one for it.
  const own = { caFile: 'ca.pem', certFile: 'tls.crt', keyFile: 'tls.key' };
  expect(tlsOf(own)).toMatchObject({ wallet: 'CERT\nKEY\nCA', ca: null });
  const folder = tmpFolder('secret');
  writeFileSync(join(folder, 'ca.crt'), 'CA');
  expect(tlsOf({ folder })).toMatchObject({ wallet: null, ca: 'CA' });
  writeFileSync(join(folder, 'tls.crt'), 'CERT');
  expect(faultsOf({ ...server, tls: { folder } })).toEqual(['  sink.tls: tls.crt and tls.key belong together']);
  writeFileSync(join(folder, 'tls.key'), 'KEY');
  expect(tlsOf({ folder })).toMatchObject({ wallet: 'CERT\nKEY\nCA' });
  writeFileSync(join(folder, 'ewallet.pem'), 'WALLET');
  expect(faultsOf({ ...server, tls: { folder, caFile: 'ca.pem' } })).toEqual([
    '  sink.tls: folder stands for caFile, certFile, keyFile and walletFile; it is this or those',
    '  sink.tls: a wallet holds everything; it is this or those',
  ]);
});

test('says everything that is wrong at once', () => {
  const changed = { connectString: 'scott/tiger@db/EXAMS', schema: 'a"b', partition: 'Hash', extra: 1 };
  const faults = faultsOf({ ...server, ...changed }, { table: '1' }).join('\n');
  for (const field of ['sink.connectString', 'sink.schema', 'sink.partition', 'sink', 'table']) {
    expect(faults).toContain(`  ${field}: `);
  }
  expect(faults).toContain('must not hold user and password');
  const { user: _, ...nobody } = server;
  expect(faultsOf({ ...nobody, passwordFile: 'empty' })).toEqual([
    '  sink: it needs one of user and userFile',
    '  sink.passwordFile: the file is empty',
  ]);
  expect(faultsOf(server, { table: 'untradex_x' })).toEqual([expect.stringContaining('  table: names that begin')]);
});
