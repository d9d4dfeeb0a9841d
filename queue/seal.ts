import type { Shard } from './connect.ts';
import { readReply, unknownReply } from './reply.ts';
import { callScript, scripts } from './script.ts';

/** How a shard was sealed: the same at every repeat. */
export interface Seal {
  /** ms since 1970, Redis's clock. */
  readonly sealedAt: number;
  /** Id of the last entry of the log, which the seal itself wrote. */
  readonly sealId: string;
  readonly events: number;
  /** Running digest over all batches. */
  readonly digest: string;
}

/** Seals the shard: from then on nothing is appended and nobody finishes. Idempotent; it cannot be undone. */
export async function seal(shard: Shard): Promise<Seal> {
  return shard.run(async (redis) => {
    const reply = readReply(await callScript(redis, scripts.seal, [shard.identity.incarnation]));
    const [word, sealedAt, sealId, events, digest] = reply;
    if (word !== 'ok' || sealId === undefined || digest === undefined) throw unknownReply(reply);
    return { sealedAt: Number(sealedAt), sealId, events: Number(events), digest };
  });
}
