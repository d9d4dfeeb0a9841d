import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const redisCjs = join(import.meta.dirname, '../../setup/redis.cjs');
const hasApt = existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg-deb');

// It downloads packages, and other systems have no apt.
test.runIf(hasApt)('two set-ups at once unpack a server into an empty cache, which runs', async () => {
  const cache = tmpFolder('cache');
  const env = { PATH: '/usr/bin:/bin', XDG_CACHE_HOME: cache, UNTRADEX_REDIS_SERVER: '' };
  const code =
    `require(${JSON.stringify(redisCjs)}).ensureRedis(process.env)` +
    '.then((server) => console.log(JSON.stringify(server)), (error) => { console.error(error.message); process.exit(1); });';
  const both = [0, 1].map(() => startProgram({ argv: [process.execPath, '-e', code], env }));
  for (const program of both) expect(await program.ended(300_000)).toEqual({ code: 0, signal: null });
  const found = await findRedisBinary(env);
  expect(both.map(({ lines }) => lines)).toEqual([[found], [found]]);
  if (found.path.startsWith(cache)) expect(readdirSync(join(cache, 'untradex'))).toEqual([`redis-${found.version}`]);
});
