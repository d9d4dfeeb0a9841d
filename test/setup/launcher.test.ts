import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const root = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

test.each(['untradex', 'kubectl-untradex'])('bin/%s.mjs runs the CLI from any folder', async (name) => {
  const program = startProgram({
    argv: [process.execPath, join(root, 'bin', `${name}.mjs`), '--version'],
    cwd: tmpFolder('elsewhere'),
  });
  expect(await program.ended()).toEqual({ code: 0, signal: null });
  expect(program.stdout.trim()).toBe(version);
});

test('passes the exit code of the CLI on', async () => {
  const program = startProgram({ argv: [process.execPath, join(root, 'bin', 'untradex.mjs'), 'nonsense'] });
  expect((await program.ended()).code).toBe(64);
});
