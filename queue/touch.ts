import type { Shard } from './connect.ts';
import { readReply, unknownReply } from './reply.ts';
import { callScript, scripts } from './script.ts';

/** One synced write, by Redis's own clock (ms since 1970): what was read before it resolves may be believed. */
export async function touch(shard: Shard): Promise<number> {
  return shard.run(async (redis) => {
    const [word, ms] = readReply(await callScript(redis, scripts.touch, [shard.identity.incarnation]));
    if (word !== 'ok' || ms === undefined) throw unknownReply(word);
    return Number(ms);
  });
}
