import type { Shard } from './connect.ts';
import { emptyDigest, keys, stateFields } from './keys.ts';

/** What a shard held at one moment. Kept outside of Redis, it tells later whether a volume is whole. */
export interface Witness {
  readonly shard: number;
  /** Id of the last entry of the log; empty: there is none. */
  readonly lastId: string;
  readonly events: number;
  /** Running digest over all batches. */
  readonly digest: string;
}

/** Reads the witness of a shard, and when it was sealed (ms since 1970; null: it is not). */
export async function readWitness(shard: Shard): Promise<Witness & { readonly sealed: number | null }> {
  const { lastId, events, digest, sealed } = stateFields;
  const state = await shard.run((redis) => redis.hmget(keys.state, lastId, events, digest, sealed));
  return {
    shard: shard.identity.shard,
    lastId: state[0] ?? '',
    events: Number(state[1] ?? 0),
    digest: state[2] ?? emptyDigest,
    sealed: state[3] ? Number(state[3]) : null,
  };
}
