import { randomUUID } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultSettings } from '#operator/settings.ts';
import { openShard } from '#queue/connect.ts';
import { initShard } from '#queue/init.ts';
import { writeSession } from '#queue/session.ts';
import { createShardWriter } from '#queue/shardwriter.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';

const warm = 200;
const events = 600;
const payload = Buffer.from(JSON.stringify('x'.repeat(248)));

test('an event alone in its batch costs no more than the plan counts with', async () => {
  const redis = await startRedis();
  const identity = { uid: randomUUID(), shard: 0, shards: 1, incarnation: randomUUID() };
  await initShard(redis, { ...identity, exam: 'algebra' });
  const shard = openShard({ endpoint: redis, identity, name: 'measure' });
  onScopeEnd(() => shard.close());
  await shard.ready(5_000);
  await writeSession(shard, { phase: 'Active', closesAt: null, graceMs: 0, late: 'Refuse', full: false });
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await shard.run((client) => client.info('memory')))![1]);
  const stored = () => {
    const dir = join(redis.dir, 'appendonlydir');
    return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
  };
  const writer = createShardWriter({ shard });
  onScopeEnd(() => writer.close());
  let durable = 0;
  const listener = {
    durable: (seq: number) => {
      durable = seq;
    },
    refused: () => {},
  };
  const lane = await writer.attach(randomUUID(), randomUUID().slice(0, 22), listener);
  const send = async (from: number, to: number) => {
    for (let seq = from; seq <= to; seq++) {
      writer.offer(lane, seq, payload, Date.now());
      await until(() => durable === seq, { what: `event ${seq}`, everyMs: 1 });
    }
  };
  // Redis's buffers have their size after the first ones.
  await send(1, warm);
  const [memoryBefore, diskBefore] = [await used(), stored()];
  await send(warm + 1, warm + events);
  const { diskBytesPerEvent, memoryBytesPerEvent } = defaultSettings.capacity;
  const disk = (stored() - diskBefore) / events - payload.length;
  const memory = ((await used()) - memoryBefore) / events - payload.length;
  expect(disk).toBeLessThanOrEqual(diskBytesPerEvent);
  expect(memory).toBeLessThanOrEqual(memoryBytesPerEvent);
  // And the plan does not count with much more, or it would ask for machines that nobody needs.
  expect(disk).toBeGreaterThan(diskBytesPerEvent / 2);
  expect(memory).toBeGreaterThan(memoryBytesPerEvent / 2);
});
