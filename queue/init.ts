import type { Redis } from 'ioredis';
import { dropClient, type Endpoint, openClient, within } from './client.ts';
import { readReply, unknownReply } from './reply.ts';
import { asProblem } from './replyerror.ts';
import { callScript, scripts } from './script.ts';
import { askConfig, judgeConfig, type ShardIdentity } from './shardcheck.ts';

/** The identity that a shard gets for life, with the exam that its rows are written under. */
export interface NewShard extends ShardIdentity {
  readonly exam: string;
}

/**
 * Gives an empty Redis its identity, and says whether it had it already. Rejects with a Problem: `shard_foreign` when
 * it holds anything else, `shard_config` when its settings would make acknowledgements worthless. Tries once, within
 * `timeoutMs`; repeating is safe, until `ok` was seen: afterwards it must never be called again for this incarnation,
 * or a shard that lost its volume would be born again.
 */
export async function initShard(endpoint: Endpoint, shard: NewShard, timeoutMs = 5_000): Promise<'made' | 'same'> {
  try {
    const redis = await openClient(endpoint, 'untradex-init', timeoutMs);
    try {
      return await within(timeoutMs, init(redis, shard), 'init');
    } finally {
      dropClient(redis);
    }
  } catch (error) {
    throw asProblem(error);
  }
}

async function init(redis: Redis, shard: NewShard): Promise<'made' | 'same'> {
  const wrong = judgeConfig(await askConfig(redis));
  if (wrong) throw wrong;
  const { incarnation, uid, exam } = shard;
  const args = [incarnation, uid, exam, String(shard.shard), String(shard.shards)];
  const [word, what] = readReply(await callScript(redis, scripts.init, args));
  if (word !== 'ok' || (what !== 'made' && what !== 'same')) throw unknownReply([word, what]);
  return what;
}
