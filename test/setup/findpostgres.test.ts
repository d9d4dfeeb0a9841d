import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findPostgres, variable } from '#setup/findpostgres.cjs';
import { tmpFolder } from '#test/support/tmp.ts';

/** Programs that say about themselves what servers say. */
function makePrograms(bin: string, version: string): string {
  mkdirSync(bin, { recursive: true });
  for (const program of ['postgres', 'initdb']) {
    const file = join(bin, program);
    writeFileSync(file, `#!/bin/sh\necho '${program} (PostgreSQL) ${version}'\n`);
    chmodSync(file, 0o755);
  }
  return bin;
}

test('takes the programs on PATH, and passes old and incomplete ones by', async () => {
  const folder = tmpFolder('machine');
  const old = makePrograms(join(folder, 'old'), '12.3');
  const half = join(folder, 'half');
  mkdirSync(half);
  writeFileSync(join(half, 'postgres'), '');
  const bin = makePrograms(join(folder, 'bin'), '16.4 (Debian 16.4-1.pgdg120+2)');
  const env = { PATH: [old, half, bin, '/bin'].join(':'), HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') };
  const { found, rejected } = await findPostgres(env);
  expect(found).toEqual({ bin, version: '16.4' });
  expect(rejected).toEqual([`${old}: version 12.3 is older than 13`]);
});

test('takes only what UNTRADEX_POSTGRES_BIN names, when it is set', async () => {
  const folder = tmpFolder('machine');
  const onPath = makePrograms(join(folder, 'bin'), '16.4');
  const named = makePrograms(join(folder, 'mine'), '17.2');
  expect((await findPostgres({ PATH: onPath, [variable]: named })).found).toEqual({ bin: named, version: '17.2' });
  expect((await findPostgres({ PATH: onPath, [variable]: join(folder, 'nowhere') })).found).toBeNull();
});
