import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const verdict = join(import.meta.dirname, '../../.ci/verdict.cjs');

/** The result of a demo with nothing wrong. */
const proven = { missing: 0, duplicated: 0, outOfOrder: 0, verified: true, kills: 3, acknowledged: 9, exported: 10 };

/** A report of vitest: files, each with the states of its tests, and whether the file failed by itself. */
function report(...files: { tests: string[]; failed?: boolean }[]) {
  const testResults = files.map(({ tests, failed = tests.includes('failed') }) => ({
    status: failed ? 'failed' : 'passed',
    assertionResults: tests.map((status) => ({ status })),
  }));
  return { testResults };
}

interface StepResult {
  kind: 'tests' | 'demo';
  code: number;
  result?: object;
}

async function judge(...steps: StepResult[]) {
  const folder = tmpFolder('verdict');
  const args = steps.map(({ kind, code, result }, index) => {
    const file = join(folder, `${index}.json`);
    if (result !== undefined) writeFileSync(file, JSON.stringify(result));
    return `${kind}:${code}:${file}`;
  });
  const program = startProgram({ argv: [process.execPath, verdict, ...args] });
  const { code } = await program.ended();
  return { code, lastLine: program.stdout.trim().split('\n').pop(), output: program.stdout };
}

test('adds up what vitest counted and the demo', async () => {
  const tests = report({ tests: ['passed', 'passed'] }, { tests: ['passed', 'skipped'] });
  const { code, lastLine } = await judge(
    { kind: 'tests', code: 0, result: tests },
    { kind: 'demo', code: 0, result: proven },
  );
  expect([code, lastLine]).toEqual([0, '4 passed, 0 failed, 1 skipped']);
});

test.each([
  ['a test failed', { kind: 'tests', code: 1, result: report({ tests: ['passed', 'failed'] }) }, '1 passed, 1 failed'],
  [
    'a file leaked',
    { kind: 'tests', code: 1, result: report({ tests: ['passed'], failed: true }) },
    '1 passed, 1 failed',
  ],
  ['types failed, so no test ran', { kind: 'tests', code: 2 }, '0 passed, 1 failed'],
  ['vitest found no test', { kind: 'tests', code: 0, result: report() }, '0 passed, 1 failed'],
  ['the demo crashed', { kind: 'demo', code: 1 }, '0 passed, 1 failed'],
  ['the demo lost one', { kind: 'demo', code: 0, result: { ...proven, missing: 1 } }, '0 passed, 1 failed'],
  ['the demo killed too few', { kind: 'demo', code: 0, result: { ...proven, kills: 2 } }, '0 passed, 1 failed'],
  ['the demo exported less', { kind: 'demo', code: 0, result: { ...proven, exported: 8 } }, '0 passed, 1 failed'],
] as [string, StepResult, string][])('fails when %s', async (_what, step, words) => {
  const { code, lastLine } = await judge(step);
  expect([code, lastLine]).toEqual([1, words]);
});

test('fails when nothing was asked', async () => {
  expect(await judge()).toMatchObject({ code: 1, lastLine: '0 passed, 0 failed' });
});
