import { setTimeout as sleep } from 'node:timers/promises';
import { type AppendBatch, type AppendReply, append } from './append.ts';
import { backoff } from './backoff.ts';
import type { Shard } from './connect.ts';
import { asProblem, verdictOf } from './replyerror.ts';

export interface DeliveryOptions {
  /** Ends it: the rejection is then the signal's. */
  readonly signal: AbortSignal;
  /** Longest pause before a store that cannot write is tried again, in ms. The first is 50. */
  readonly maxRetryMs: number;
  /** Called before each repeat. */
  readonly onRetry: () => void;
}

/** How long to wait for a connection at a time. */
const readyMs = 5_000;

/**
 * Appends a batch, again and again, byte-identical, until there is a definite answer. Rejects when there will be none:
 * the shard was closed, or it broke by an unknown error (then nobody knows whether the batch was appended).
 */
export async function deliver(shard: Shard, batch: AppendBatch, options: DeliveryOptions): Promise<AppendReply> {
  for (let failures = 0; ; failures++) {
    try {
      if (shard.state.phase !== 'ready') await shard.ready(readyMs, options.signal);
      const reply = await append(shard, batch);
      if (shard.state.problem) shard.trouble(null);
      return reply;
    } catch (error) {
      options.signal.throwIfAborted();
      const known = asProblem(error);
      const verdict = verdictOf(known);
      if (verdict === 'broken') shard.breakDown(known);
      if (shard.state.phase === 'broken' || shard.state.phase === 'closed') throw known;
      options.onRetry();
      if (verdict === 'reconnect') continue;
      shard.trouble(known);
      await sleep(pause(failures, options.maxRetryMs), null, { signal: options.signal });
    }
  }
}

/** The pause in ms before repeat number `failures` of an append. */
export function pause(failures: number, maxRetryMs: number): number {
  return backoff(failures, { first: 50, most: maxRetryMs });
}
