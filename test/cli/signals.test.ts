import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Program, startProgram } from '#test/support/process.ts';

const signals = join(import.meta.dirname, '../../cli/signals.ts');

/** A command that writes all the time, until it is to stop; then it writes once more and ends with 3. */
function startWriter(): Program {
  const code = `
    import { listenForStop } from ${JSON.stringify(signals)};
    const stop = listenForStop();
    const timer = setInterval(() => console.log('{}'), 5);
    stop.signal.addEventListener('abort', () => {
      clearInterval(timer);
      console.log('stopping');
      stop.release();
      setTimeout(() => process.exit(3), 50);
    });
  `;
  return startProgram({ argv: [process.execPath, '--input-type=module', '-e', code], ipc: true });
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s asks for an orderly stop', async (signal) => {
  const writer = startWriter();
  await writer.line(() => true, 'output');
  writer.kill(signal);
  expect(await writer.ended()).toEqual({ code: 3, signal: null });
});

test('so does output that nobody reads any more', async () => {
  const writer = startWriter();
  await writer.line(() => true, 'output');
  writer.child.stdout?.destroy();
  expect(await writer.ended()).toEqual({ code: 3, signal: null });
});

test('so does the end of whoever started it', async () => {
  const writer = startWriter();
  await writer.line(() => true, 'output');
  writer.child.disconnect();
  expect(await writer.ended()).toEqual({ code: 3, signal: null });
});
