import { expect, test } from 'vitest';
import { runCli } from './cli.ts';

test('ddl oracle prints what to run, by whom, and runs nothing', async () => {
  const { code, stdout, stderr } = await runCli(['ddl', 'oracle', '--user', 'untradex', '--tablespace', 'exam_data']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('-- As an administrator');
  expect(stdout).toContain('ALTER USER "UNTRADEX" QUOTA UNLIMITED ON "EXAM_DATA";');
  for (const table of ['UNTRADEX_EXPORTS', 'UNTRADEX_ATTEMPTS', 'UNTRADEX_STAGING', 'EXAM_ANSWERS']) {
    expect(stdout).toContain(`CREATE TABLE "UNTRADEX"."${table}" (`);
  }
  // Everything else is a comment, for a script.
  for (const part of stdout.split(/;\n/).map((text) => text.replace(/^(--.*|\s*)$/gm, '').trim())) {
    expect(part).toMatch(/^(CREATE TABLE|GRANT|ALTER USER) |^$/);
  }
});

test('ddl oracle says which name is none', async () => {
  const { code, stderr } = await runCli(['ddl', 'oracle', '--user', 'un"tradex']);
  expect(code).toBe(64);
  expect(stderr).toContain('--user: un"tradex is no name without quotes');
});
