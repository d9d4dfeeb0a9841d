import { createBucket, tryTake } from '#queue/bucket.ts';
import type { GatewayLimits } from './config.ts';

/** Why a newcomer is sent away for now. It comes before anything costs much; the client tries again. */
export type Turned = { readonly reason: string; readonly retryAfterSeconds: number };

export interface Admission {
  /** Judges a request that would open a connection; `takes` is false for those that only prepare one. */
  judge(now: number, takes: boolean): Turned | null;
  /** From now on nobody is let in: the process is about to end. */
  shut(): void;
  readonly isShut: boolean;
}

/**
 * Protects those who are in from those who want in: a bounded number of connections, a bounded rate of new ones, and
 * nobody while the event loop is late.
 */
export function createAdmission(options: {
  readonly capacity: number;
  readonly limits: GatewayLimits;
  connections(): number;
  loopLagMs(): number;
}): Admission {
  const { capacity, limits } = options;
  const rate = createBucket(limits.connectionsPerSecond, limits.connectionBurst, Date.now());
  let isShut = false;

  return {
    judge(now, takes) {
      if (isShut) return turned('restart');
      if (options.connections() >= capacity) return turned('capacity');
      if (options.loopLagMs() > limits.eventLoopDelayMs) return turned('busy');
      if (takes && !tryTake(rate, now)) return turned('rate');
      return null;
    },
    shut() {
      isShut = true;
    },
    get isShut() {
      return isShut;
    },
  };
}

/** Spread over some seconds: those who came together shall not come back together. */
export function turned(reason: string): Turned {
  return { reason, retryAfterSeconds: 1 + Math.floor(Math.random() * 4) };
}
