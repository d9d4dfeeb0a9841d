import type { ExamSession } from '#operator/examsession.ts';
import type { RedisWishes } from '#operator/kubernetes/shardsizes.ts';
import type { DesiredShards } from '#operator/plan.ts';
import { sessionOf } from './gatewayparts.ts';

/** A session's shards, for tests. */

export const MiB = 2 ** 20;
export const GiB = 2 ** 30;

export function desiredShards(change: Partial<DesiredShards> = {}): DesiredShards {
  return {
    ...{ count: 2, running: true, refill: [], maxmemoryBytes: 512 * MiB, memoryBytes: 704 * MiB },
    ...{ storageBytes: GiB, cpu: 1 },
    ...change,
  };
}

/** A session that says this of its shards. */
export function sessionWith(redis: RedisWishes = {}, students = 4000): ExamSession {
  const session = sessionOf('', students);
  return {
    ...session,
    spec: { ...session.spec, redis: { ...session.spec.redis, ...redis } as typeof session.spec.redis },
  };
}
