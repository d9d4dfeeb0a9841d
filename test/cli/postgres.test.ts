import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DemoResult } from '#cli/demoresult.ts';
import { exporter, type PostgresTarget, postgresTarget, startExamServer } from '#test/exporter/postgrestarget.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { runCli, startCli } from './cli.ts';

describe('a small demo into PostgreSQL', () => {
  const folder = tmpFolder('demo');
  const data = join(folder, 'data');
  const ledger = join(folder, 'ledger.ndjson');
  let target: PostgresTarget;
  let result: DemoResult;
  let said: string;

  beforeAll(async () => {
    target = await postgresTarget(await startExamServer(), { schema: 'Exams' });
    const { host, port, database, user, schema } = target.sink as Record<string, string>;
    const server = { host, port: Number(port), database, user, schema, passwordFile: 'password', tls: { mode: 'Off' } };
    writeFileSync(join(folder, 'password'), exporter.password);
    const file = join(folder, 'server.yaml');
    writeFileSync(file, JSON.stringify(server));
    const json = join(folder, 'result.json');
    const size = ['--students', '20', '--seconds', '3', '--kills', '1'];
    const sink = ['--sink', 'postgres', '--sink-file', file];
    const program = startCli(['demo', ...size, ...sink, '--data', data, '--json', json, '--ledger', ledger]);
    const { code } = await program.ended(60_000);
    said = program.stdout + program.stderr;
    expect(code, said).toBe(0);
    result = JSON.parse(readFileSync(json, 'utf8')) as DemoResult;
  }, 120_000);

  test('everything that was acknowledged is in the table, once and in order', async () => {
    expect(result).toMatchObject({
      ...{ students: 20, acknowledged: 100, missing: 0, duplicated: 0, outOfOrder: 0, wrongBytes: 0, verified: true },
      database: `postgres 127.0.0.1:${target.server.port}/exams schema Exams`,
    });
    const [row] = await target.sql('SELECT count(*)::int AS n, min("EXAM") AS exam FROM "EXAM_ANSWERS"');
    expect(row).toEqual({ n: result.exported, exam: 'Demo' });
    expect(said).toContain('VERIFIED');
  });

  test('verify reads the server, at any later time, and notices what somebody changed', {
    timeout: 30_000,
  }, async () => {
    const verify = () => runCli(['verify', 'demo', '--data', data, '--ledger', ledger, '--json'], 15_000);
    const before = await verify();
    expect(before.code, before.stderr).toBe(0);
    expect(JSON.parse(before.stdout)).toMatchObject({
      verified: true,
      rows: { root: result.root },
      ledger: { missing: 0 },
    });
    await target.sql(`UPDATE "EXAM_ANSWERS" SET "PAYLOAD" = '{"n":1}' WHERE "STUDENT" = 'student-0007' AND "SEQ" = 3`);
    const after = await verify();
    expect(after.code).toBe(1);
    expect(JSON.parse(after.stdout)).toMatchObject({ verified: false, ledger: { missing: 0, wrongBytes: 1 } });
  });

  test('the password is in no file of the session, and was not said', () => {
    const paths = ['session.yaml', 'run.log', 'export/attempt-1/plan.json', 'export/attempt-1/publish.log'];
    for (const path of paths) expect(readFileSync(join(data, path), 'utf8')).not.toContain('O’Brien');
    expect(said).not.toContain('O’Brien');
  });
});

test('a demo into a server that nobody described says what it needs', async () => {
  const { code, stderr } = await runCli(['demo', '--sink', 'postgres']);
  expect(code).toBe(65);
  expect(stderr).toContain('--sink-file');
});
