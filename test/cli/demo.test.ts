import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DemoResult } from '#cli/demoresult.ts';
import { type Descendant, descendants } from '#test/support/descendants.ts';
import type { Program } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { runCli, startCli } from './cli.ts';

const small = ['demo', '--students', '20', '--seconds', '3'];

describe('a small demo, with a kill', () => {
  let data: string;
  let ledger: string;
  let result: DemoResult;
  let stdout: string;

  beforeAll(async () => {
    const folder = tmpFolder('demo');
    data = join(folder, 'data');
    ledger = join(folder, 'ledger.ndjson');
    const json = join(folder, 'result.json');
    const program = startCli([...small, '--kills', '1', '--data', data, '--json', json, '--ledger', ledger]);
    const { code } = await program.ended(50_000);
    stdout = program.stdout;
    expect(code, stdout + program.stderr).toBe(0);
    result = JSON.parse(readFileSync(json, 'utf8')) as DemoResult;
  }, 60_000);

  test('everything that was acknowledged is in the database, once and in order', () => {
    expect(result).toMatchObject({
      students: 20,
      connectedPeak: 20,
      acknowledged: 20 * 5,
      missing: 0,
      duplicated: 0,
      outOfOrder: 0,
      wrongBytes: 0,
      verified: true,
      kills: 1,
      finished: 20,
      database: join(data, 'exams.duckdb'),
    });
    expect(result.exported).toBeGreaterThanOrEqual(result.acknowledged);
    expect(result.ackMs.max).toBeGreaterThanOrEqual(result.ackMs.p50);
    for (const number of [result.eventsPerSecond, result.exportRowsPerSecond, result.seconds]) {
      expect(number).toBeGreaterThan(0);
    }
    expect(existsSync(result.report!)).toBe(true);
    for (const text of ['missing', 'twice', 'VERIFIED', result.database]) expect(stdout).toContain(text);
  });

  test('the ledger has a line for each acknowledged event', () => {
    const lines = readFileSync(ledger, 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(result.acknowledged);
    expect(JSON.parse(lines[0]!)).toEqual({
      student: expect.stringMatching(/^student-\d{4}$/),
      writer: expect.stringMatching(/^[\w-]{8,64}$/),
      seq: expect.any(Number),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  test('status, report and verify agree, at any later time', { timeout: 20_000 }, async () => {
    const status = await runCli(['status', 'demo', '--data', data, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject({
      name: 'demo',
      phase: 'Completed',
      pids: { gateway: [], redis: [] },
    });
    const report = await runCli(['report', 'demo', '--data', data]);
    expect(report).toMatchObject({ code: 0, stdout: expect.stringContaining(result.root!) });
    const verify = await runCli(['verify', 'demo', '--data', data, '--ledger', ledger, '--json']);
    expect(verify.code, verify.stderr).toBe(0);
    expect(JSON.parse(verify.stdout)).toMatchObject({
      verified: true,
      rows: { root: result.root, rows: result.exported },
      queue: { verified: true },
      ledger: { missing: 0 },
    });
  });

  test('verify notices a row that somebody changed later', { timeout: 20_000 }, async () => {
    const instance = await DuckDBInstance.create(result.database);
    const connection = await instance.connect();
    await connection.run(`update EXAM_ANSWERS set PAYLOAD = '{"n":1}' where STUDENT = 'student-0007' and SEQ = 3`);
    connection.closeSync();
    instance.closeSync();
    const { code, stdout } = await runCli(['verify', 'demo', '--data', data, '--ledger', ledger]);
    expect(code).toBe(1);
    expect(stdout).toContain('NOT VERIFIED');
    expect(stdout).toContain('student-0007');
  });
});

describe('however a demo ends, nothing that it started stays', () => {
  /** Waits until students can connect; returns what runs below the demo then. */
  async function started(program: Program): Promise<Descendant[]> {
    await until(() => program.stderr.includes(' are up at '), { what: 'the start of the demo', timeoutMs: 20_000 });
    const family = descendants(`UNTRADEX_TEST_FILE=${process.env.UNTRADEX_TEST_FILE}`);
    expect(family.length).toBeGreaterThan(4); // The demo, run, two gateways, two Redis.
    return family;
  }

  const gone = (family: readonly Descendant[]) =>
    until(() => family.every(({ pid }) => !isAlive(pid)), { what: 'the end of every process', timeoutMs: 10_000 });

  test('Ctrl-C, which a terminal sends to the whole group, and npm once more', { timeout: 40_000 }, async () => {
    const program = startCli([...small, '--seconds', '60'], { detached: true });
    const family = await started(program);
    process.kill(-program.pid, 'SIGINT');
    program.kill('SIGINT');
    expect(await program.ended(20_000)).toEqual({ code: 130, signal: null });
    await gone(family);
    const folder = /folder (\S+)$/m.exec(program.stderr)![1]!;
    expect(existsSync(folder)).toBe(false);
  });

  test('SIGKILL', { timeout: 40_000 }, async () => {
    const program = startCli([...small, '--seconds', '60', '--data', join(tmpFolder('demo'), 'data')]);
    const family = await started(program);
    program.kill('SIGKILL');
    await gone(family);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
