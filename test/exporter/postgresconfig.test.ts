import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { planText } from '#exporter/attempt.ts';
import { readConfig } from '#exporter/config.ts';
import { isProblem } from '#queue/problem.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const server = {
  kind: 'postgres',
  host: 'db.example.edu',
  database: 'exams',
  user: 'untradex',
  passwordFile: 'password',
};

function write(sink: object, changes: object = {}): string {
  const folder = tmpFolder('config');
  writeFileSync(join(folder, 'password'), 'secret\n');
  writeFileSync(join(folder, 'ca.pem'), 'CA\n');
  writeFileSync(join(folder, 'empty'), '\n');
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

test('reads the server and the files that it names; the plan holds neither user nor password', () => {
  const config = readConfig(write({ ...server, tls: { caFile: 'ca.pem' } }));
  expect(config.sink).toEqual({
    ...{ kind: 'postgres', host: 'db.example.edu', port: 5432, database: 'exams', user: 'untradex', schema: 'public' },
    ...{ password: 'secret', tls: { ca: 'CA' }, patienceSeconds: 60 },
  });
  expect(config.target).toBe('postgres db.example.edu:5432/exams schema public');
  for (const word of ['secret', 'untradex', 'CA"']) expect(planText(config.plan)).not.toContain(word);
});

test('encrypts unless it is told not to, or there is no network in between', () => {
  const tlsOf = (changes: object) => {
    const { sink } = readConfig(write({ ...server, ...changes }));
    return sink.kind === 'postgres' && sink.tls;
  };
  expect(tlsOf({})).toEqual({});
  expect(tlsOf({ tls: { mode: 'Off' } })).toBeNull();
  expect(tlsOf({ host: '/run/postgresql' })).toBeNull();
});

test('says everything that is wrong at once', () => {
  const faults = faultsOf(
    { ...server, passwordFile: 'nowhere', schema: 'é'.repeat(32), port: 0, extra: 1 },
    { table: '1' },
  );
  for (const field of ['sink.port', 'sink.schema', 'sink', 'table']) {
    expect(faults.map((line) => line.trim().split(': ')[0])).toContain(field);
  }
  const files = faultsOf({ ...server, passwordFile: 'empty', tls: { certFile: 'nowhere' } });
  expect(files).toEqual([
    '  sink.tls: certFile and keyFile belong together',
    '  sink.passwordFile: the file is empty',
    expect.stringContaining('  sink.tls.certFile: ENOENT'),
  ]);
});

test('refuses names that PostgreSQL would cut off, or that are its own', () => {
  const rehearsal = { session: { name: 'a', uid: 'c0ffee00-0000-4000-8000-000000000001', exam: 'a', rehearsal: true } };
  expect(faultsOf(server, { table: 'A'.repeat(64) })).toEqual([expect.stringContaining('longer than 63 characters')]);
  expect(faultsOf(server, { table: 'A'.repeat(54), ...rehearsal })).toEqual([expect.stringContaining('cut it off')]);
  expect(readConfig(write(server, { table: 'A'.repeat(53), ...rehearsal })).plan.table).toHaveLength(63);
  expect(faultsOf(server, { table: 'untradex_x' })).toEqual([expect.stringContaining('  table: names that begin')]);
});

test('takes user, password and certificates from a mounted Secret, as far as they are in it', () => {
  const secret = tmpFolder('secret');
  for (const [name, text] of Object.entries({ username: 'untradex\n', password: 'secret', 'ca.crt': 'CA' })) {
    writeFileSync(join(secret, name), text);
  }
  const { user: _, passwordFile: __, ...place } = server;
  const files = { userFile: join(secret, 'username'), passwordFile: join(secret, 'password') };
  const mounted = { ...place, ...files, tls: { folder: secret, servername: 'db.example.edu' } };
  expect(readConfig(write(mounted)).sink).toMatchObject({
    ...{ user: 'untradex', password: 'secret', tls: { ca: 'CA', servername: 'db.example.edu' } },
  });
  writeFileSync(join(secret, 'tls.crt'), 'CERT');
  expect(faultsOf(mounted)).toEqual(['  sink.tls: tls.crt and tls.key belong together']);
  writeFileSync(join(secret, 'tls.key'), 'KEY');
  expect(readConfig(write(mounted)).sink).toMatchObject({ tls: { ca: 'CA', cert: 'CERT', key: 'KEY' } });
  expect(faultsOf({ ...mounted, user: 'too', tls: { folder: secret, caFile: 'ca.pem' } })).toEqual([
    '  sink: it needs one of user and userFile',
    '  sink.tls: folder stands for caFile, certFile and keyFile; it is this or those',
  ]);
  expect(faultsOf(place)).toEqual(['  sink: it needs one of user and userFile']);
});
