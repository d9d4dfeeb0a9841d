import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFolder } from '#cli/folder.ts';
import { livePids } from '#cli/livepids.ts';
import { startOf } from '#operator/local/processes.ts';
import { startProgram } from '#test/support/process.ts';
import { sessionFolder } from './cli.ts';

test('of the pids in a status only those count that are still the processes which run started', async () => {
  const folder = sessionFolder();
  const put = (name: string, value: unknown) => writeFileSync(join(folder, name), JSON.stringify(value));
  const gateway = startProgram({ argv: [process.execPath, '-e', 'setInterval(() => {}, 1000)'] });
  const stranger = process.pid;
  const gone = startProgram({ argv: [process.execPath, '-e', ''] });
  await gone.ended();
  put('status.json', { pids: { gateway: [gateway.pid, stranger], redis: [gone.pid] } });
  put('children.json', [
    { pid: gateway.pid, start: await startOf(gateway.pid), what: 'gateway 1' },
    { pid: stranger, start: 'another time', what: 'gateway 2' },
    { pid: gone.pid, start: 'once', what: 'redis 0' },
  ]);
  expect(await livePids(await openFolder(folder, 'algebra'))).toEqual({ gateway: [gateway.pid], redis: [] });
});
