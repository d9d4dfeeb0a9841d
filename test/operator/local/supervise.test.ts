import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dataFolder } from '#operator/local/datafolder.ts';
import { type ChildrenFile, openChildrenFile } from '#operator/local/orphans.ts';
import { type Supervised, supervise } from '#operator/local/supervise.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

function superviseNode(program: string, children?: ChildrenFile): Supervised & { starts: number } {
  const folder = dataFolder(tmpFolder('supervise'));
  const logFile = join(folder.root, 'log');
  const log = openSync(logFile, 'a');
  const counted = { starts: 0 };
  const supervised = supervise({
    what: 'redis 7',
    logFile,
    children: children ?? openChildrenFile(folder),
    changed: () => {},
    start: async () => {
      counted.starts += 1;
      return spawn(process.execPath, ['--eval', program], { stdio: ['ignore', log, log] });
    },
  });
  onScopeEnd(() => supervised.stop(100));
  return Object.defineProperty(supervised as Supervised & { starts: number }, 'starts', { get: () => counted.starts });
}

describe('a supervised process', () => {
  test('is started again when it is killed', async () => {
    const one = superviseNode('setInterval(() => {}, 1000)');
    const first = await until(() => one.pid, { what: 'the process' });
    process.kill(first, 'SIGKILL');
    const second = await until(() => one.pid !== first && one.pid, { what: 'the next one' });
    expect(second).not.toBe(first);
    expect(one.fault).toBeNull();
  });

  test('that keeps ending is told as a fault, with its last words, and is tried on', async () => {
    const one = superviseNode('console.log("no such disk"); process.exit(3)');
    const fault = await until(() => one.fault, { what: 'the fault', timeoutMs: 9_000 });
    expect(fault.message).toBe(
      'redis 7 ended 5 times right after its start (exit code 3); its last words: no such disk',
    );
    expect(one.starts).toBe(5);
    await until(() => one.starts > 5, { what: 'one more start' });
  });

  test('is stopped in a bounded time though it does not listen', async () => {
    const one = superviseNode('process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)');
    await until(() => one.pid, { what: 'the process' });
    const begun = performance.now();
    await one.stop(300);
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(one.pid).toBeNull();
  });

  test('stopped while it waits to be started again stays stopped', async () => {
    const one = superviseNode('process.exit(1)');
    await until(() => one.starts >= 2 && one.pid === null, { what: 'a wait' });
    await one.stop(100);
    const { starts } = one;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(one.starts).toBe(starts);
  });

  test('is supervised also when the disk is too full to record it', async () => {
    const full = () => Promise.reject(new Error('ENOSPC'));
    const one = superviseNode('setInterval(() => {}, 1000)', { add: full, remove: full });
    const first = await until(() => one.pid, { what: 'the process' });
    process.kill(first, 'SIGKILL');
    await until(() => one.pid !== first && one.pid, { what: 'the next one' });
  });

  test('that cannot be started at all is a fault, not a crash', async () => {
    const folder = dataFolder(tmpFolder('supervise'));
    const one = supervise({
      what: 'redis 0',
      logFile: join(folder.root, 'none'),
      children: openChildrenFile(folder),
      changed: () => {},
      start: async () => spawn(join(folder.root, 'no-such-program'), [], { stdio: 'ignore' }),
    });
    onScopeEnd(() => one.stop(100));
    const fault = await until(() => one.fault, { what: 'the fault' });
    expect(fault.message).toContain('ENOENT');
  });
});
