import { randomUUID } from 'node:crypto';
import type { Endpoint } from '#queue/client.ts';
import { openShard, type Shard, type ShardOptions } from '#queue/connect.ts';
import { initShard } from '#queue/init.ts';
import { writeSession } from '#queue/session.ts';
import type { ShardIdentity } from '#queue/shardcheck.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type StartRedisOptions, startRedis, type TestRedis } from '#test/support/redis.ts';

/** A real Redis that is a shard of a session, and a connection to it; both end with the test. */
export interface TestShard {
  readonly redis: TestRedis;
  readonly identity: ShardIdentity;
  readonly endpoint: Endpoint;
  readonly shard: Shard;
  /** A further connection, as another process would have it. */
  connect(options?: Partial<ShardOptions>): Shard;
}

export interface TestShardOptions extends StartRedisOptions {
  readonly identity?: Partial<ShardIdentity>;
}

export const quickTiming = { retryMs: 5, maxRetryMs: 50, slowRetryMs: 50 } as const;

/** Starts one, initialised, with an Active session, connected. */
export async function startShard(options: TestShardOptions = {}): Promise<TestShard> {
  const redis = await startRedis(options);
  const endpoint = { host: redis.host, port: redis.port };
  const identity = { uid: randomUUID(), shard: 0, shards: 1, incarnation: randomUUID(), ...options.identity };
  await initShard(endpoint, { ...identity, exam: 'algebra' });
  const connect = (more: Partial<ShardOptions> = {}) => {
    const shard = openShard({ endpoint, identity, name: 'test', timing: quickTiming, ...more });
    onScopeEnd(() => shard.close());
    return shard;
  };
  const shard = connect();
  await shard.ready(5_000);
  await writeSession(shard, { phase: 'Active', graceMs: 0, late: 'Refuse' });
  return { redis, identity, endpoint, shard, connect };
}
