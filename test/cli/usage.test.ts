import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tmpFolder } from '#test/support/tmp.ts';
import { runCli, sessionFolder } from './cli.ts';

const commands = ['run', 'demo', 'rehearse', 'status', 'finalize', 'token', 'verify', 'report', 'plan'];

describe('help', () => {
  test('lists every command', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  test.each(commands)('%s --help shows examples', async (command) => {
    const { code, stdout, stderr } = await runCli([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('Examples:\n  $ untradex ');
  });

  test('without a command the help comes, with the exit code for wrong use', async () => {
    const { code, stderr } = await runCli([]);
    expect(code).toBe(64);
    expect(stderr).toContain('Commands:');
    expect(stderr).not.toContain('remedy');
  });
});

test.each(['pause', 'resume', 'logs', 'support-bundle'])('%s --help shows examples for clusters', async (command) => {
  const { code, stdout } = await runCli([command, '--help']);
  expect(code).toBe(0);
  expect(stdout).toContain('Examples:\n  $ kubectl untradex ');
});

describe('wrong use names what is wrong, on stderr alone', () => {
  test.each([
    [['demo', '--sutdents', '5'], "usage: unknown option '--sutdents'\n(Did you mean --students?)"],
    [['demo', '--students', 'many'], "usage: option '--students <n>' argument 'many' is invalid. Write a whole number"],
    [['demo', 'now'], "usage: too many arguments for 'demo'"],
    [['token', 'algebra', '--data', '.'], "usage: required option '--student <id>' not specified"],
    [
      ['token', 'algebra', '--student', 'a', '--data', '.', '--ttl', '4 hours'],
      "usage: option '--ttl <duration>' argument",
    ],
    [['finalize', '--data', '.'], "usage: missing required argument 'name'"],
    [['finalise'], "usage: unknown command 'finalise'\n(Did you mean finalize?)"],
  ])('%s', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^remedy: untradex .*--help/m);
  });
});

describe('a folder or file that does not fit', () => {
  test('no session in the folder', async () => {
    const { code, stderr } = await runCli(['status', '--data', '/nowhere']);
    expect(code).toBe(65);
    expect(stderr).toContain('folder_empty: there is no session in /nowhere\nremedy: ');
  });

  test("another session's folder", async () => {
    const { code, stderr } = await runCli(['finalize', 'biology', '--data', sessionFolder()]);
    expect(code).toBe(65);
    expect(stderr).toMatch(/^session_unknown: the session in .* is algebra, not biology$/m);
  });

  test('a broken session file: every wrong field at once', async () => {
    const file = join(tmpFolder('usage'), 'session.yaml');
    writeFileSync(file, 'apiVersion: v1\nkind: ExamSession\nmetadata: {name: A}\nspec: {students: 0}\n');
    const { code, stderr } = await runCli(['plan', '-f', file]);
    expect(code).toBe(65);
    for (const field of ['apiVersion', 'metadata.name', 'spec.students']) expect(stderr).toContain(field);
  });

  test('the folder of a demo must be empty', async () => {
    const { code, stderr } = await runCli(['demo', '--data', sessionFolder()]);
    expect(code).toBe(65);
    expect(stderr).toContain('folder_in_use: ');
  });
});
