import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readExamSession } from '#operator/examsession.ts';
import { until } from '#test/support/until.ts';
import { algebra, runCli, sessionFolder, startCli } from './cli.ts';

const statusOf = (phase: string, verified: 'True' | 'False') => ({
  name: 'algebra',
  phase,
  conditions: [
    { type: 'Verified', status: verified, reason: 'R', message: 'three rows are missing', lastTransitionTime: '' },
  ],
  events: { durable: 40, exported: 40 },
  redis: { root: 'ab12' },
  export: null,
});

const putStatus = (folder: string, phase: string, verified: 'True' | 'False' = 'False') =>
  writeFileSync(join(folder, 'status.json'), JSON.stringify(statusOf(phase, verified)));

test('edits spec.phase and nothing else: comments and order stay', async () => {
  const folder = sessionFolder();
  const { code, stdout } = await runCli(['finalize', 'algebra', '--data', folder]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'algebra is asked to finalize\n' });
  const edited = readFileSync(join(folder, 'session.yaml'), 'utf8');
  expect(readExamSession(edited).spec.phase).toBe('Finalizing');
  expect(edited).toBe(`${algebra}  phase: Finalizing\n`);
  const again = await runCli(['finalize', 'algebra', '--data', folder]);
  expect(again).toMatchObject({ code: 0, stdout: 'algebra was asked to finalize before\n' });
  expect(readFileSync(join(folder, 'session.yaml'), 'utf8')).toBe(edited);
});

test('--wait ends with 0 once verified', async () => {
  const folder = sessionFolder();
  putStatus(folder, 'Active');
  const program = startCli(['finalize', 'algebra', '--data', folder, '--wait']);
  await until(() => program.stderr.includes('Active'), { what: 'the first status' });
  putStatus(folder, 'Exporting');
  await until(() => program.stderr.includes('Exporting'), { what: 'the second status' });
  putStatus(folder, 'Completed', 'True');
  expect(await program.ended()).toMatchObject({ code: 0 });
  expect(program.stdout).toBe('VERIFIED algebra: 40 events exported, root ab12\n');
});

test('--wait ends with 1 when failed, and says why', async () => {
  const folder = sessionFolder();
  putStatus(folder, 'Failed');
  const { code, stderr } = await runCli(['finalize', 'algebra', '--data', folder, '--wait']);
  expect(code).toBe(1);
  expect(stderr).toContain('three rows are missing');
  expect(stderr).toMatch(/^remedy: /m);
});

test('--wait ends with 2 when the time is over', async () => {
  const folder = sessionFolder();
  const { code, stderr } = await runCli(['finalize', 'algebra', '--data', folder, '--wait', '--timeout', '300ms']);
  expect(code).toBe(2);
  expect(stderr).toContain('timeout: algebra is not running');
});

test('Ctrl-C ends the waiting with 130', async () => {
  const folder = sessionFolder();
  putStatus(folder, 'Active');
  const program = startCli(['finalize', 'algebra', '--data', folder, '--wait']);
  await until(() => program.stderr.includes('Active'), { what: 'the first status' });
  program.kill('SIGINT');
  expect(await program.ended()).toMatchObject({ code: 130 });
});
