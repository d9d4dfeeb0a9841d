import type { Shard } from './connect.ts';

/** Asks Redis whether its data takes more than this share of `maxmemory`. Without a maxmemory it is never full. */
export async function isMemoryFull(shard: Shard, fullAt: number): Promise<boolean> {
  const info = await shard.run((redis) => redis.info('memory'));
  const used = field(info, 'used_memory');
  const most = field(info, 'maxmemory');
  return most > 0 && used > most * fullAt;
}

function field(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
}
