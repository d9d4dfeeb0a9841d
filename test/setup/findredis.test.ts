import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { isProblem } from '#queue/problem.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** A program that says about itself what servers say. */
function makeServer(file: string, says: string): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
  chmodSync(file, 0o755);
  return file;
}

const redis = (version: string) => `Redis server v=${version} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d`;

function emptyMachine() {
  const folder = tmpFolder('machine');
  const env = { PATH: `${join(folder, 'bin')}:/bin`, HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') };
  return { bin: join(folder, 'bin'), cache: join(folder, 'cache', 'untradex'), env };
}

test('takes a server on PATH, with its version', async () => {
  const { bin, env } = emptyMachine();
  const path = makeServer(join(bin, 'redis-server'), redis('7.0.15'));
  expect(await findRedisBinary(env)).toEqual({ path, version: '7.0.15', kind: 'redis' });
});

test.each([
  ['8.1', 'Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1f', '8.1.1'],
  ['7.2, which says only what it is', 'Server v=7.2.9 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1f', '7.2.9'],
])('takes a Valkey %s', async (_name, says, version) => {
  const { bin, env } = emptyMachine();
  const path = makeServer(join(bin, 'valkey-server'), says);
  expect(await findRedisBinary(env)).toEqual({ path, version, kind: 'valkey' });
});

test('passes an old server on PATH by for the newest in the cache', async () => {
  const { bin, cache, env } = emptyMachine();
  makeServer(join(bin, 'redis-server'), redis('6.0.16'));
  makeServer(join(cache, 'redis-7.2.4', 'bin', 'redis-server'), redis('7.2.4'));
  const path = makeServer(join(cache, 'redis-10.0.1', 'bin', 'redis-server'), redis('10.0.1'));
  expect(await findRedisBinary(env)).toEqual({ path, version: '10.0.1', kind: 'redis' });
});

test('takes only what UNTRADEX_REDIS_SERVER names, when it is set', async () => {
  const { bin, env } = emptyMachine();
  makeServer(join(bin, 'redis-server'), redis('7.0.15'));
  const named = makeServer(join(bin, 'mine'), redis('7.4.0'));
  expect(await findRedisBinary({ ...env, UNTRADEX_REDIS_SERVER: named })).toMatchObject({ path: named });
  const missing = findRedisBinary({ ...env, UNTRADEX_REDIS_SERVER: '/nowhere/redis-server' });
  await expect(missing).rejects.toThrow('/nowhere/redis-server: there is no such file');
});

test('says of everything that it found why it is not taken, and what to do', async () => {
  const { bin, cache, env } = emptyMachine();
  makeServer(join(bin, 'redis-server'), redis('6.2.7'));
  makeServer(join(bin, 'valkey-server'), 'hello');
  chmodSync(makeServer(join(cache, 'redis-7.0.15', 'bin', 'redis-server'), redis('7.0.15')), 0o644);
  const error = await findRedisBinary(env).catch((reason: unknown) => reason);
  expect(isProblem(error) && error.code).toBe('redis_not_found');
  expect(String(error)).toContain('redis-server: version 6.2.7 is older than 7');
  expect(String(error)).toContain('valkey-server: is not a Redis or Valkey server');
  expect(String(error)).toContain('redis-7.0.15/bin/redis-server: may not be executed');
  expect(isProblem(error) && error.remedy).toContain('UNTRADEX_REDIS_SERVER');
});
