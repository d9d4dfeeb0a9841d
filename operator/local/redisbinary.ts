import { problem } from '#queue/problem.ts';
import { findRedis, type RedisBinary, variable } from '#setup/findredis.cjs';

export type { RedisBinary };

/**
 * Finds a Redis or Valkey server, 7 or newer: the variable UNTRADEX_REDIS_SERVER (then nothing else is tried), PATH,
 * the cache that the set-up of a checkout fills. Asks the program itself for its version.
 * @throws Problem `redis_not_found`, naming what was found and not taken
 */
export async function findRedisBinary(env: NodeJS.ProcessEnv = process.env): Promise<RedisBinary> {
  const { found, rejected } = await findRedis(env);
  if (found !== null) return found;
  const but = rejected.length > 0 ? ` (${rejected.join('; ')})` : '';
  throw problem(
    'redis_not_found',
    `there is no redis-server or valkey-server of version 7 or newer${but}`,
    `install one (apt-get install redis-server, brew install valkey), or name one in ${variable}`,
  );
}
