import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli } from './cli.ts';

const example = join(import.meta.dirname, '../../examples/session.yaml');

test('plans the example, which has twelve lines, and says why', async () => {
  expect(readFileSync(example, 'utf8').trimEnd().split('\n')).toHaveLength(12);
  const { code, stdout, stderr } = await runCli(['plan', '-f', example]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^algebra {2}4,000 students$/m);
  expect(stdout).toMatch(/^ {2}gateways +2, each 1 core/m);
  expect(stdout).toContain('4,000 students at');
});

test('--students plans for another number, --json gives the numbers', async () => {
  const { stdout } = await runCli(['plan', '-f', example, '--students', '100000', '--json']);
  const plan = JSON.parse(stdout);
  expect(plan).toMatchObject({ name: 'algebra', students: 100_000 });
  expect(plan.replicas).toBeGreaterThan(10);
  expect(plan.shards).toBeGreaterThan(1);
  expect(plan.why.length).toBeGreaterThan(3);
});
