import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dataFolder } from '#operator/local/datafolder.ts';
import { lockFolder } from '#operator/local/lock.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const holder = (root: string) => `
  import { lockFolder } from '#operator/local/lock.ts';
  import { dataFolder } from '#operator/local/datafolder.ts';
  await lockFolder(dataFolder(${JSON.stringify(root)}));
  console.log(JSON.stringify({ locked: true }));
  setInterval(() => {}, 1000);
`;

test('a folder has one holder; the second is refused with the name of the first, and a killed one frees it', async () => {
  const root = tmpFolder('lock');
  const first = startProgram({ argv: [process.execPath, '--input-type=module', '--eval', holder(root)] });
  await first.line((line) => line.locked === true, 'the lock');

  await expect(lockFolder(dataFolder(root))).rejects.toMatchObject({
    code: 'folder_in_use',
    message: expect.stringContaining(`process ${first.pid}, since 20`),
    remedy: expect.stringContaining('--data'),
  });

  first.kill('SIGKILL');
  const lock = await lockFolder(dataFolder(root));
  // Also within one process, and also when nobody can read who holds it.
  rmSync(dataFolder(root).lockHolder);
  await expect(lockFolder(dataFolder(root))).rejects.toMatchObject({
    message: expect.stringContaining('in use by another process'),
  });
  lock.release();
  lock.release();
  (await lockFolder(dataFolder(root))).release();
});
