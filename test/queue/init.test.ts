import { expect, test } from 'vitest';
import { openClient } from '#queue/client.ts';
import { initShard } from '#queue/init.ts';
import { keys } from '#queue/keys.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { freePort } from '#test/support/freeport.ts';
import { startRedis } from '#test/support/redis.ts';

const shard = { uid: 'uid-1', exam: 'algebra', shard: 1, shards: 3, incarnation: 'incarnation-1' };

async function client(endpoint: { host: string; port: number }) {
  const redis = await openClient(endpoint, 'test', 5_000);
  onScopeEnd(() => void redis.disconnect());
  return redis;
}

test('an empty Redis gets its identity once, and keeps it over a restart', async () => {
  const redis = await startRedis();
  expect(await initShard(redis, shard)).toBe('made');
  expect(await initShard(redis, shard)).toBe('same');
  await redis.restart();
  expect(await initShard(redis, shard)).toBe('same');
  expect(await (await client(redis)).hgetall(keys.meta)).toEqual({
    format: '1',
    uid: 'uid-1',
    exam: 'algebra',
    shard: '1',
    shards: '3',
    incarnation: 'incarnation-1',
  });
});

test('case 3: a Redis that has another identity, or anything else in it, is foreign', async () => {
  const redis = await startRedis();
  await initShard(redis, shard);
  for (const [field, value] of Object.entries({
    ...shard,
    uid: 'uid-2',
    exam: 'b',
    shard: 2,
    shards: 4,
    incarnation: 'i',
  })) {
    await expect(initShard(redis, { ...shard, [field]: value })).rejects.toMatchObject({
      code: 'shard_foreign',
      message: expect.stringContaining(`its ${field} differs`),
    });
  }
  const other = await client(redis);
  await other.flushall();
  await other.set('something', 'else');
  await expect(initShard(redis, shard)).rejects.toMatchObject({ code: 'shard_foreign' });
  expect(await other.exists(keys.meta)).toBe(0);
});

test('case 1: a Redis that does not sync every write gets no identity', async () => {
  const redis = await startRedis({ extraArgs: ['--appendfsync', 'everysec'] });
  await expect(initShard(redis, shard)).rejects.toMatchObject({
    code: 'shard_config',
    message: 'this Redis has appendfsync "everysec" where "always" is needed',
    remedy: expect.stringContaining('appendfsync always'),
  });
  expect(await (await client(redis)).dbsize()).toBe(0);
});

test('nobody there is a Problem, soon', async () => {
  const port = await freePort();
  await expect(initShard({ host: '127.0.0.1', port }, shard)).rejects.toMatchObject({ code: 'shard_unreachable' });
});
