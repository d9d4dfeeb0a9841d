import { isDeepStrictEqual } from 'node:util';
import type { Facts } from './conditions.ts';
import type { PassResult } from './loop.ts';
import { type Desired, planSession } from './plan.ts';
import type { Observed, Platform } from './platform.ts';
import type { QueueControl, QueueFacts, QueueOutcome } from './queuecontrol.ts';
import type { Settings } from './settings.ts';
import { type SessionStatus, statusOf } from './status.ts';

export interface ReconcileOptions {
  readonly platform: Platform;
  readonly queue: QueueControl;
  readonly settings: Settings;
  /** The operator's clock, ms since 1970. */
  readonly now?: () => number;
}

export interface Pass extends PassResult {
  readonly status: SessionStatus;
  /** The session is over and nothing of it runs any more. */
  readonly done: boolean;
}

/**
 * One pass over one session: observe, plan, apply, one status write. Each step may fail or be the last before a crash;
 * the next pass looks again. Order matters in three places: the platform keeps the identity before it starts Redis,
 * a birth is kept after `init` and before any gateway starts, and `status.sealing` is written by one pass, the first
 * seal made by a later one that has read it. A paused session is only looked at, and its status written.
 */
export function createReconciler({ platform, queue, settings, now = Date.now }: ReconcileOptions): () => Promise<Pass> {
  async function act(desired: Desired, observed: Observed, facts: QueueFacts): Promise<QueueOutcome> {
    await platform.apply(desired);
    const did = await queue.apply(desired.queue, observed, facts);
    if (did.born.length > 0) await platform.recordBorn(did.born);
    return did;
  }

  return async () => {
    const observed = await platform.observe();
    const [queueFacts, sample] = await Promise.all([queue.observe(observed), platform.sample()]);
    const time = now();
    const desired = planSession(observed, queueFacts, time, settings);

    const did = observed.paused ? nothing : await act(desired, observed, queueFacts);

    const facts: Facts = { observed, queue: queueFacts, desired, now: time, settings };
    const status = statusOf(facts, sample, { seal: did.seal });
    if (!isSame(observed.status, status)) await platform.writeStatus(status);

    const moved = did.born.length > 0 || movedOn(observed.status, status);
    return {
      status,
      requeueAfterMs: moved ? 0 : desired.requeueAfterMs,
      done: desired.stage === 'Done' && isStopped(observed),
    };
  };
}

const nothing: QueueOutcome = { born: [], seal: null };

/** The pass wrote something that the next one decides by. */
function movedOn(before: SessionStatus | null, after: SessionStatus): boolean {
  return (
    before?.phase !== after.phase ||
    before.sealing !== after.sealing ||
    before.redis.root !== after.redis.root ||
    before.drainUntil !== after.drainUntil
  );
}

function isStopped({ gateways, shards }: Observed): boolean {
  return gateways.length === 0 && shards.every((shard) => !shard.running);
}

function isSame(before: SessionStatus | null, after: SessionStatus): boolean {
  return before !== null && isDeepStrictEqual(before, after);
}
