import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Program, startProgram } from '#test/support/process.ts';

const childCjs = join(import.meta.dirname, '../../setup/child.cjs');

/** Runs the code of a child as the set-up runs programs: in a process of its own, which passes signals on. */
function runAsSetup(code: string, ...args: string[]): Program {
  const parent =
    `require(${JSON.stringify(childCjs)}).runChild(process.execPath, ${JSON.stringify(['-e', code, ...args])})` +
    '.then((code) => { process.exitCode = code; });';
  return startProgram({ argv: [process.execPath, '-e', parent] });
}

/** Says when it is up, and every signal that it gets; ends when whoever started it is gone. */
const listening = `
  const say = (line) => console.log(JSON.stringify(line));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGWINCH']) process.on(signal, () => say({ signal }));
  process.on('disconnect', () => { say({ orphan: true }); process.exit(7); });
  setTimeout(() => process.exit(9), 60000);
  say({ up: true });
`;

test('passes arguments and the exit code through', async () => {
  const program = runAsSetup(
    'console.log(JSON.stringify({ args: process.argv.slice(1) })); process.exit(42)',
    'a b',
    'c',
  );
  expect(await program.line(() => true, 'the arguments')).toEqual({ args: ['a b', 'c'] });
  expect(await program.ended()).toEqual({ code: 42, signal: null });
});

test('ends with 128 + N when signal N ended the child', async () => {
  const program = runAsSetup('process.kill(process.pid, "SIGKILL")');
  expect(await program.ended()).toEqual({ code: 137, signal: null });
});

test('passes one Ctrl-C on once, although terminal and npm both deliver it', async () => {
  const program = runAsSetup(listening);
  await program.line((line) => line.up === true, 'the child');
  program.kill('SIGINT');
  await program.line((line) => line.signal === 'SIGINT', 'the first signal');
  program.kill('SIGINT');
  program.kill('SIGTERM');
  // Every change of the window's size is passed on, and comes after the others.
  program.kill('SIGWINCH');
  await program.line((line) => line.signal === 'SIGWINCH', 'the change of size');
  expect(program.lines).toEqual([{ up: true }, { signal: 'SIGINT' }, { signal: 'SIGWINCH' }]);
});

test('lets the child notice when the set-up itself is killed', async () => {
  const program = runAsSetup(listening);
  await program.line((line) => line.up === true, 'the child');
  program.kill('SIGKILL');
  // The child holds its output open, so this is also the child's end.
  expect(await program.ended()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(program.lines.at(-1)).toEqual({ orphan: true });
});

test('leaves nothing of the child behind', async () => {
  const child = `
    const { spawn } = require('node:child_process');
    const grandchild = "console.log('{}'); setTimeout(() => {}, 60000)";
    spawn(process.execPath, ['-e', grandchild], { stdio: ['ignore', 'pipe', 'inherit'] })
      .stdout.once('data', (bytes) => process.stdout.write(bytes, () => process.exit(0)));
  `;
  const program = runAsSetup(child);
  await program.line(() => true, 'the grandchild');
  // The grandchild holds stderr open until it is gone.
  expect(await program.ended()).toMatchObject({ code: 0 });
});
