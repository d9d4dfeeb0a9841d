import type { Endpoint } from '#queue/client.ts';
import { openShard, type Shard, type ShardLogger, type ShardState } from '#queue/connect.ts';
import { type Problem, problem } from '#queue/problem.ts';
import type { ShardIdentity } from '#queue/shardcheck.ts';
import { readWitness, type Witness } from '#queue/witness.ts';

export interface SealedShardOptions {
  readonly endpoint: Endpoint;
  readonly identity: ShardIdentity;
  /** What it held when it was sealed, as kept outside of it. */
  readonly witness: Witness;
  readonly logger?: ShardLogger;
  readonly signal?: AbortSignal;
  /** How long an unreachable or loading Redis is waited for, ms. A large log loads for a while. */
  readonly patienceMs?: number;
}

const defaultPatienceMs = 60_000;

/**
 * Connects to a shard that must be exactly what was sealed. Rejects, with the connection closed, when it is not
 * reachable in time, at once when it is another Redis, one that does not let us, or one that has lost data (a new try
 * would meet the same), and with Problem `witness_differs` when it was not sealed with this content.
 */
export async function openSealedShard(options: SealedShardOptions): Promise<Shard> {
  const { endpoint, identity, witness, logger, signal } = options;
  let refuse: (reason: Problem | undefined) => void;
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  refused.catch(() => undefined);
  const shard = openShard({
    endpoint,
    identity,
    name: `exporter-${identity.shard}`,
    ...(logger ? { logger } : {}),
    ...(signal ? { signal } : {}),
    onState: (state) => {
      if (isHopeless(state)) refuse(state.problem);
    },
  });
  try {
    shard.saw(witness.lastId);
    await Promise.race([shard.ready(options.patienceMs ?? defaultPatienceMs), refused]);
    const wrong = differs(await readWitness(shard), witness);
    if (wrong) throw wrong;
    return shard;
  } catch (error) {
    await shard.close();
    throw error;
  }
}

function isHopeless({ phase }: ShardState): boolean {
  return phase === 'refused' || phase === 'lost' || phase === 'broken';
}

function differs(found: Witness & { readonly sealed: number | null }, witness: Witness): Problem | null {
  const { shard, sealed } = found;
  if (sealed === null) {
    return problem(
      'log_not_sealed',
      `shard ${shard} is not sealed: its log may still grow`,
      'Export after the operator has sealed the session. If it was sealed, this volume is an older one: attach the newest.',
    );
  }
  const field = (['lastId', 'events', 'digest'] as const).find((name) => found[name] !== witness[name]);
  if (field === undefined) return null;
  return problem(
    'witness_differs',
    `shard ${shard} has ${field} ${found[field]}, but it was sealed with ${witness[field]}`,
    'This volume is not the one that was sealed: attach that one, and export again. Release nothing before.',
  );
}
