import { expect, test } from 'vitest';
import { answersPing } from '#operator/kubernetes/shardping.ts';
import { startRedis } from '#test/support/redis.ts';

test('only a Redis that takes commands answers', async () => {
  const redis = await startRedis();
  const endpoint = { host: redis.host, port: redis.port };
  expect(await answersPing(endpoint)).toBe(true);
  expect(await answersPing({ ...endpoint, username: 'operator', password: 'wrong' })).toBe(false);
  redis.pause();
  expect(await answersPing(endpoint, 100)).toBe(false);
  redis.resume();
  await redis.kill9();
  expect(await answersPing(endpoint)).toBe(false);
});
