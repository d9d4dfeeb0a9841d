import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { descendants } from '#test/support/descendants.ts';
import { freePort } from '#test/support/freeport.ts';
import type { Program } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { algebra, runCli, sessionFolder, startCli } from './cli.ts';

type Line = Record<string, unknown> & { phase: string; url: string; pids: { gateway: number[]; redis: number[] } };

const rehearsal = algebra.replace('  students: 40', '  rehearsal: true\n  students: 40');

function sessionFile(yaml: string): string {
  const file = join(tmpFolder('session'), 'session.yaml');
  writeFileSync(file, yaml);
  return file;
}

describe('one session through the commands', () => {
  const data = join(tmpFolder('run'), 'data');
  const ledger = join(tmpFolder('run'), 'ledger.ndjson');
  let run: Program;
  let active: Line;

  beforeAll(async () => {
    const port = String(await freePort());
    run = startCli(['run', '-f', sessionFile(rehearsal), '--data', data, '--port', port, '--json']);
    active = await run.line<Line>(({ phase }) => phase === 'Active', 'Active', 20_000);
    expect(active.url).toBe(`http://127.0.0.1:${port}/exam`);
  }, 30_000);

  test('run --json: the whole status a line, and again when a pid changes', { timeout: 20_000 }, async () => {
    expect(active.pids.gateway).toHaveLength(2);
    expect(active.pids.redis).toHaveLength(1);
    const [victim] = active.pids.gateway;
    process.kill(victim!, 'SIGKILL');
    const isMended = ({ pids }: Line) => pids.gateway.length === 2 && !pids.gateway.includes(victim!);
    await run.line<Line>(isMended, 'another gateway in its place', 15_000);
  });

  test('a second run on the same folder is refused', async () => {
    const { code, stderr } = await runCli(['run', '--data', data, '--port', '0']);
    expect(code).toBe(65);
    expect(stderr).toMatch(/^folder_in_use: .*\nremedy: /m);
  });

  test('rehearse: everybody is acknowledged and finishes, over kills', { timeout: 40_000 }, async () => {
    const size = ['--students', '30', '--seconds', '4', '--events', '6', '--kills', '2'];
    const { code, stdout, stderr } = await runCli(
      ['rehearse', 'algebra', '--data', data, ...size, '--ledger', ledger, '--json'],
      35_000,
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      students: 30,
      connectedPeak: 30,
      acknowledged: 180,
      finished: 30,
      kills: 2,
    });
    expect(readFileSync(ledger, 'utf8').trimEnd().split('\n')).toHaveLength(180);
  });

  test('finalize --wait, then run ends by itself with 0', { timeout: 50_000 }, async () => {
    const finalized = await runCli(
      ['finalize', 'algebra', '--data', data, '--wait', '--timeout', '30s', '--json'],
      35_000,
    );
    expect(finalized.code, finalized.stderr).toBe(0);
    const status = JSON.parse(finalized.stdout) as Line;
    expect(status).toMatchObject({ phase: 'Completed', events: { durable: 180, exported: 180 } });
    expect(await run.ended(20_000)).toEqual({ code: 0, signal: null });
    expect(run.lines.at(-1)).toMatchObject({ phase: 'Completed' });
  });

  test('verify finds the rehearsal in a table of its own', { timeout: 20_000 }, async () => {
    const { code, stdout, stderr } = await runCli(['verify', 'algebra', '--data', data, '--ledger', ledger, '--json']);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verified: true,
      table: 'EXAM_ANSWERS_REHEARSAL',
      ledger: { missing: 0 },
    });
  });
});

test('run stops cleanly at SIGTERM and goes on at the next start', { timeout: 40_000 }, async () => {
  const data = join(tmpFolder('run'), 'data');
  const mark = `UNTRADEX_TEST_FILE=${process.env.UNTRADEX_TEST_FILE}`;
  const others = descendants(mark).length;
  const first = startCli(['run', '-f', sessionFile(algebra), '--data', data, '--port', '0', '--json']);
  const { uid, url } = await first.line<Line>(({ phase }) => phase === 'Active', 'Active', 20_000);
  first.kill('SIGTERM');
  expect(await first.ended(15_000)).toEqual({ code: 143, signal: null });
  expect(descendants(mark)).toHaveLength(others);
  const second = startCli(['run', '--data', data, '--port', '0', '--json']);
  const again = await second.line<Line>(
    ({ phase, url: now }) => phase === 'Active' && now !== null,
    'Active again',
    20_000,
  );
  expect(again).toMatchObject({ uid, url });
  second.kill('SIGINT');
  expect(await second.ended(15_000)).toEqual({ code: 130, signal: null });
});

test('run tells once which fields have no effect here', { timeout: 20_000 }, async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  onScopeEnd(() => void taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const file = sessionFile(algebra.replace('  students: 40', '  export: {keepQueueFor: 14d}\n  students: 40'));
  const data = join(tmpFolder('run'), 'data');
  const { code, stdout, stderr } = await runCli(['run', '-f', file, '--data', data, '--port', String(port), '--json']);
  expect([code, stdout]).toEqual([69, '']);
  expect(stderr).toMatch(/^On one machine these fields have no effect: spec\.export\.keepQueueFor\.\nport_taken: /);
});

describe('rehearse plays against no other session', () => {
  test('a real exam', async () => {
    const { code, stderr } = await runCli(['rehearse', 'algebra', '--data', sessionFolder(), '--students', '1']);
    expect(code).toBe(65);
    expect(stderr).toContain('not_a_rehearsal: algebra is a real exam');
  });

  test('one that does not run', async () => {
    const { code, stderr } = await runCli(['rehearse', 'algebra', '--data', sessionFolder(rehearsal)]);
    expect(code).toBe(69);
    expect(stderr).toContain('not_active: ');
  });
});
